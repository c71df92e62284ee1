"""What the configuration dataclasses share: choices are checked, and they survive JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from dicmor_lib.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    """Base of a frozen dataclass of settings; `NAME` is what its error messages call it."""

    NAME: ClassVar[str] = "configuration"

    def _check_choices(self) -> None:
        """Raise `ConfigError` if a Literal field holds no listed value, or a bool field no bool."""
        for name, hint in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if get_origin(hint) is Literal and value not in get_args(hint):
                known = ", ".join(map(repr, get_args(hint)))
                raise ConfigError(f"{name} is {value!r}; it must be one of {known}")
            if hint is bool and not isinstance(value, bool):
                raise ConfigError(f"{name} is {value!r}; it must be true or false")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`; unknown names raise `ConfigError`."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ConfigError(f"the {cls.NAME} holds unknown names: {', '.join(unknown)}")
        return cls(**values)

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed."""
        return self.from_dict({**self.to_dict(), **changes})
