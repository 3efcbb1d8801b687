"""Values and settings as a report writes them."""

from lit_dl.records import shortened
from lit_dl.report.runs import Value


def label_of(values: dict[str, Value]) -> str:
    """Values in a line, as they are typed, long ones shortened."""
    pairs = (f"{key.rpartition('.')[2]}={shortened(text_of(value), 24)}" for key, value in values.items())
    return shortened(", ".join(pairs), 48) or "all"


def text_of(value: Value) -> str:
    """A value as it is typed."""
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool):
        return str(value).lower()
    return value.replace(", ", ",") if isinstance(value, str) and value.startswith("[") else str(value)
