"""The doors: frames in, frames out. Here the engine touches the network and decides nothing."""
