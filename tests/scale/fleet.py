from pathlib import Path
RULES = Path(__file__).parent / "rules" / "rules.yaml"
