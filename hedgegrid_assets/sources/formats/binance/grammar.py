"""The JSON that the fast readers take, as regular expressions: flat objects without escapes, and what may stand around one."""

from typing import Final

# Digits and blanks are ASCII, as in JSON.
BLANKS: Final = r"[ \t\r\n]*"
COLON: Final = f"{BLANKS}:{BLANKS}"
COMMA: Final = f"{BLANKS},{BLANKS}"
STRING: Final = r'"[^"\\\x00-\x1f]*"'
JSON_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
SCALAR: Final = f"(?:{STRING}|{JSON_NUMBER}|true|false|null)"
PAIR: Final = f"{STRING}{COLON}{SCALAR}"
FLAT: Final = rf"\{{{BLANKS}{PAIR}(?:{COMMA}{PAIR})*{BLANKS}\}}"
STREAM: Final = f'"stream"{COLON}{STRING}'
GENERATED: Final = f'(?:"generated"{COLON}true{COMMA})?'


def in_stream(data: str) -> str:
    """The wrapper of combined streams around what ``data`` matches."""
    member = f'"data"{COLON}{data}'
    return rf"\{{{BLANKS}(?:{STREAM}{COMMA}{GENERATED})?{member}(?:{COMMA}{GENERATED}{STREAM})?{BLANKS}\}}"


WRAPPED: Final = in_stream(FLAT)
MESSAGE: Final = f"(?:{WRAPPED}|{FLAT})"
TIME: Final = (
    r"(?:[0-9]{19} |[0-9]{9,10}(?:\.[0-9]+)?: |[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{7}Z )"
)
BESIDE: Final = rf'"(?:E|s|ps)"{COLON}{SCALAR}'


def gate(event: str, inside: str) -> str:
    """As ``GATE``: messages of an event with a flat object in one member, behind members that it has none of the name of."""
    message = rf'\{{{BLANKS}"e"{COLON}"{event}"(?:{COMMA}{BESIDE})*{COMMA}"{inside}"{COLON}{FLAT}{BLANKS}\}}'
    return f"^{TIME}?(?:{in_stream(message)}|{message}){BLANKS}$"


GATE: Final = f"^{TIME}?{MESSAGE}{BLANKS}$"
