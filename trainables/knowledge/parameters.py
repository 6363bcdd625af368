"""The file of gait parameters: which columns of a manifest are numbers that the method can put into words."""

import dataclasses
import math
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import ConfigurationError
from trainables.study.records import Parameter

WALKWAY = Path(__file__).with_name("gait_parameters.toml")
FROM_VIDEO = Path(__file__).with_name("video_parameters.toml")
UNITS = {
    "s": "s",
    "m": "m",
    "cm": "cm",
    "mm": "mm",
    "m_per_s": "m/s",
    "cm_per_s": "cm/s",
    "steps_per_min": "steps/min",
    "degree": "degree",
    "degrees": "degree",
    "deg": "degree",
    "percent": "%",
    "hz": "Hz",
    "kg": "kg",
    "years": "years",
}
"""Endings of a column's name that say its unit, as in walking_speed_m_per_s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownParameter(Parameter):
    """A parameter of a file, with the limits of what is believed; all in the parameter's unit."""

    low: float = -math.inf
    high: float = math.inf
    """A value outside low and high is a code for 'not measured', a slip, or in another unit."""
    median_low: float = -math.inf
    median_high: float = math.inf
    """A cohort whose median is outside has the whole column in another unit."""

    def __post_init__(self) -> None:
        limits = (self.low, self.high, self.median_low, self.median_high)
        if any(isinstance(limit, bool) or not isinstance(limit, int | float) or math.isnan(limit) for limit in limits):
            raise TypeError(f"{self.key}: low, high, median_low and median_high must be numbers, but are {limits}")
        if self.source not in ("instrument", "video"):
            raise TypeError(f"{self.key}: source must be 'instrument' or 'video', but is {self.source!r}")
        if self.low >= self.high or self.median_low >= self.median_high:
            raise TypeError(f"{self.key}: low must be below high, and median_low below median_high")

    def recorded(self) -> Parameter:
        """Returns the parameter as a cohort's record keeps it, without the limits."""
        return Parameter(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Parameter)})


def load_parameters(path: Path | None = None) -> tuple[KnownParameter, ...]:
    """Returns the parameters of a TOML file, in its order; without a path the 29 walkway parameters.

    Raises:
        ConfigurationError: The file is missing, is not TOML, or an entry is wrong.
    """
    path = path or WALKWAY
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["parameter"]
        parameters = tuple(KnownParameter(**entry) for entry in entries)
    except OSError as error:
        raise ConfigurationError(
            f"the parameter file {path} cannot be read ({error.strerror})", code="parameters.unreadable"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the parameter file {path} is not valid TOML: {error}", code="parameters.not_toml"
        ) from None
    except (KeyError, TypeError) as error:
        raise ConfigurationError(
            f"the parameter file {path} needs [[parameter]] entries with key, name and unit, "
            f"and optionally leg_scaled, side, mirror, source, low, high, median_low and median_high ({error})",
            code="parameters.incomplete",
        ) from None
    keys = [p.key for p in parameters]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ConfigurationError(
            f"the parameter file {path} has key {twice[0]!r} twice; each key must be there once",
            code="parameters.twice",
        )
    if lost := [p for p in parameters if p.mirror is not None and p.mirror not in keys]:
        raise ConfigurationError(
            f"the parameter file {path}: {lost[0].key!r} mirrors {lost[0].mirror!r}, which it does not hold",
            code="parameters.mirror",
        )
    return parameters


def with_video_parameters(parameters: tuple[KnownParameter, ...]) -> tuple[KnownParameter, ...]:
    """Returns parameters and after them those that are measured from video, but for keys that are there already."""
    keys = {p.key for p in parameters}
    return (*parameters, *(p for p in load_parameters(FROM_VIDEO) if p.key not in keys))


def parameter_from_column(column: str) -> Parameter:
    """Returns a parameter named after a column that no file knows: 'knee_range_degree' is 'knee range' in degree."""
    stem, unit = column, ""
    for ending in sorted(UNITS, key=len, reverse=True):
        if column.lower().endswith(f"_{ending}"):
            stem, unit = column[: -len(ending) - 1], UNITS[ending]
            break
    name = re.sub(r"[_\W]+", " ", stem).strip().lower()
    side = next((side for side in ("left", "right") if side in name.split()), "both")
    return Parameter(key=column, name=name or column, unit=unit, side="difference" if "difference" in name else side)  # type: ignore[arg-type]
