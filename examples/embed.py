"""The engine inside a program of your own: `python examples/embed.py`, then `proactive connect` in another terminal.

It brings an answer to chat messages, speaks first to whoever is connected, and hears what is answered.
"""

from __future__ import annotations

import asyncio
import sys

from engine import ChatMessage, RuleErrors, Server, StartError, StoreError

PROGRESS_EVERY_S = 60.0


async def answer(message: ChatMessage) -> str:
    """Put the call to your model here. What it raises is logged; the client is told that there is no answer."""
    file = message.context.get("file", "your code")
    return f"You asked about {file}: {message.message}"


async def main() -> None:
    async def on_user_response(client_id: str, question_id: str, response: str) -> None:
        print(f"{client_id} answered {response!r}", flush=True)
        await server.send_backend_message_to_client(client_id, "Try smaller steps", "suggestion")
        await server.send_frame_to_client(
            client_id,
            {
                "type": "code_suggestion",
                "code": "print(step)",
                "language": "python",
                "explanation": "Look at one step at a time.",
            },
        )

    # Without arguments the ports, the rules and the store are those of config.yaml.
    server = Server.from_config("config.yaml", responder=answer, on_user_response=on_user_response)
    async with server:
        print(f"WebSocket server started on {server.ws_url}", flush=True)
        asking = asyncio.create_task(ask_for_progress(server))
        try:
            await server.serve_forever()
        finally:
            asking.cancel()


async def ask_for_progress(server: Server) -> None:
    every_s = float(sys.argv[1]) if len(sys.argv) > 1 else PROGRESS_EVERY_S
    while True:
        await asyncio.sleep(every_s)
        await server.broadcast_to_all_clients("How's your progress?", "question", options=("Fine", "I am stuck"))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except RuleErrors as errors:  # every mistake of the rules or the settings, each with its place
        sys.exit(f"{errors}\n{errors.summary}")
    except (StartError, StoreError) as error:  # such as a port that is taken: one line that says what to do
        sys.exit(str(error))
