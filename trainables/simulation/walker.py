"""A kinematic walker: from a person's gait to footfalls, from footfalls to the 29 walkway parameters and to joints.

Letters: S steps, T frames, J joints. x points forwards, y up, z to the walker's right; lengths in leg lengths unless a
name ends in _cm, times in seconds, angles in degrees. Footfalls come first and everything else follows from them, so
the parameters of a video are exact for what the video shows.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CENTRAL = ("pelvis", "spine", "neck", "head", "face")
PAIRED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe")
JOINTS = (*CENTRAL, *(f"{side}_{joint}" for side in ("left", "right") for joint in PAIRED))
JOINT = {name: index for index, name in enumerate(JOINTS)}

THIGH, SHANK, ANKLE_HEIGHT = 0.47, 0.44, 0.09
ANKLE_TO_HEEL, ANKLE_TO_BALL, BALL_TO_TOE = 0.06, 0.14, 0.07
SPINE, UPPER_ARM, FOREARM, HALF_HIPS, HALF_SHOULDERS = 0.60, 0.33, 0.29, 0.09, 0.19
"""Segment lengths in leg lengths, rounded from Winter, Biomechanics and Motor Control of Human Movement, fig. 4.1."""
TREMBLE_HZ = 5.0
"""Legs tremble at 3-8 Hz in freezing (Moore et al., J Neurosci Methods 2008)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gait:
    """How one person walks; pairs are (left, right)."""

    leg_cm: float
    """Leg length in cm, 70-100."""
    step_time: tuple[float, float]
    """Mean step time in s."""
    step_length: tuple[float, float]
    """Mean step length in leg lengths."""
    step_time_cv: float
    """Standard deviation of a step's time over its mean."""
    step_length_cv: float
    """Standard deviation of a step's length over its mean."""
    double_support: float
    """Both double supports of a cycle, in % of the cycle."""
    base_cm: float
    """Heel-to-heel base of support in cm."""
    toe_angle: tuple[float, float]
    """Toe-out angle in degrees."""
    clearance: float
    """Height that the ankle rises in mid-swing, in leg lengths; below 0.04 the feet shuffle."""
    heel_strike: float
    """Pitch of the foot at contact in degrees; 0 lands flat."""
    trunk_flexion: float
    """Forward lean of the trunk in degrees."""
    head_flexion: float
    """Forward lean of the head beyond the trunk's, in degrees."""
    arm_swing: tuple[float, float]
    """Range of the upper arm from back to front, in degrees."""
    elbow_flexion: float
    """Degrees."""
    knee_flexion: float
    """Knee flexion in stance, in degrees."""
    freezing: float = 0.0
    """Probability that a step is preceded by a freezing pause of 0.6-1.3 s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Footfalls:
    """Every contact of a walk in order, feet alternating; all arrays are [S]."""

    right: NDArray[np.bool_]
    contact: Floats
    """Time of initial contact, s; the video begins at 0."""
    toe_off: Floats
    """Time at which the same foot had left the floor before this contact, s."""
    x: Floats
    """Ankle over the footprint, leg lengths forwards."""
    z_cm: Floats
    """Heel to the right of the line of walking, cm."""
    toe_angle: Floats
    """Toe-out angle of the footprint, degrees."""
    frozen: NDArray[np.bool_]
    """Whether a freezing pause came before this step."""


def draw_footfalls(gait: Gait, seconds: float, rng: np.random.Generator) -> Footfalls:
    """Returns the footfalls of one walk; some lie before 0 and after `seconds`, so that every frame is within a step."""
    start, end = -2.0, seconds + 2.5
    count = 4 + int(np.ceil((end - start) / (0.6 * min(gait.step_time))))
    right = (np.arange(count) + rng.integers(2)) % 2 == 1
    noise = np.clip(rng.standard_normal((4, count)), -2.5, 2.5)
    pace = np.where(right, gait.step_time[1], gait.step_time[0]) * (1 + gait.step_time_cv * noise[0])
    length = np.where(right, gait.step_length[1], gait.step_length[0]) * (1 + gait.step_length_cv * noise[1])
    frozen = rng.random(count) < gait.freezing
    frozen[1:] &= ~frozen[:-1]
    pause = np.where(frozen, rng.uniform(0.6, 1.3, count), 0.0)
    contact = start + np.cumsum(pace + pause) - rng.uniform(0, pace[0] + pause[0])
    both_feet = sum(gait.step_time) * gait.double_support / 200
    swing = pace - both_feet * (1 + 0.04 * noise[2])
    side = np.where(right, 0.5, -0.5)
    return Footfalls(
        right=right,
        contact=contact,
        toe_off=contact - np.maximum(swing, 0.15),
        x=np.cumsum(np.where(frozen, 0.5, 1.0) * np.maximum(length, 0.08)),
        z_cm=side * gait.base_cm + 0.8 * noise[3],
        toe_angle=np.where(right, gait.toe_angle[1], gait.toe_angle[0]) + 1.5 * rng.standard_normal(count),
        frozen=frozen,
    )


def measure(steps: Footfalls, seconds: float) -> dict[str, float]:
    """Returns the 29 walkway parameters, by key, over the contacts within [0, seconds].

    Distances along the walk in leg lengths, base of support in cm, times in s, shares in % of the cycle, angles in
    degrees; differences are absolute. A value is nan where the video holds too few steps for it.
    """
    inside = np.flatnonzero((steps.contact >= 0) & (steps.contact <= seconds))
    first, last = int(inside[0]), int(inside[-1])
    elapsed = steps.contact[last] - steps.contact[first]
    found = {
        "walking_speed": (steps.x[last] - steps.x[first]) / elapsed,
        "cadence": 60 * (last - first) / elapsed,
    }
    for side in ("left", "right"):
        found |= {f"{key}_{side}": value for key, value in _measure_side(steps, inside, side == "right").items()}
    for key in ("step_time", "step_length", "cycle_time"):
        found[f"{key}_difference"] = abs(found[f"{key}_left"] - found[f"{key}_right"])
    return {key: float(value) for key, value in found.items()}


def _measure_side(steps: Footfalls, inside: NDArray[np.intp], right: bool) -> dict[str, float]:
    of_side = inside[steps.right[inside] == right]
    step_ends = of_side[of_side > inside[0]]
    starts = of_side[of_side + 2 <= inside[-1]]  # a cycle of this foot runs from contact i to contact i + 2
    cycle = steps.contact[starts + 2] - steps.contact[starts]
    swing = steps.contact[starts + 2] - steps.toe_off[starts + 2]
    single = steps.contact[starts + 1] - steps.toe_off[starts + 1]
    double = cycle - swing - single
    neighbours = of_side[(of_side > inside[0]) & (of_side < inside[-1])]
    base = np.abs(steps.z_cm[neighbours] - (steps.z_cm[neighbours - 1] + steps.z_cm[neighbours + 1]) / 2)
    return {
        "step_time": _mean(steps.contact[step_ends] - steps.contact[step_ends - 1]),
        "step_length": _mean(steps.x[step_ends] - steps.x[step_ends - 1]),
        "cycle_time": _mean(cycle),
        "stride_length": _mean(steps.x[starts + 2] - steps.x[starts]),
        "base_of_support": _mean(base),
        "swing": _mean(100 * swing / cycle),
        "swing_time": _mean(swing),
        "single_support": _mean(100 * single / cycle),
        "single_support_time": _mean(single),
        "double_support": _mean(100 * double / cycle),
        "double_support_time": _mean(double),
        "toe_angle": _mean(steps.toe_angle[of_side]),
    }


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def joint_tracks(gait: Gait, steps: Footfalls, times: Floats) -> Floats:
    """Returns the joints [T, J, 3] at `times` [T], in the order of JOINTS."""
    fine = np.arange(-0.5, times[-1] + 0.5, 1 / 120)  # smoothing needs a regular, finer clock
    feet = [_foot(gait, steps, fine, right) for right in (False, True)]  # each {ankle, heel, toe: [F, 3]}, and stance
    tracks = np.zeros((len(fine), len(JOINTS), 3))
    pelvis = _pelvis(gait, steps, fine, feet)
    tracks[:, JOINT["pelvis"]] = pelvis
    _place_trunk(gait, tracks)
    for foot, name, sign in zip(feet, ("left", "right"), (-1, 1), strict=True):
        for part in ("ankle", "heel", "toe"):
            tracks[:, JOINT[f"{name}_{part}"]] = foot[part]
        hip = pelvis + np.array([0, 0, sign * HALF_HIPS])
        tracks[:, JOINT[f"{name}_hip"]] = hip
        tracks[:, JOINT[f"{name}_knee"]] = _knee(hip, foot["ankle"])
    _place_arms(gait, tracks)
    index = np.clip(np.searchsorted(fine, times), 0, len(fine) - 1)
    return tracks[index]


def _foot(gait: Gait, steps: Footfalls, times: Floats, right: bool) -> dict[str, Floats]:
    """Returns ankle, heel and toe [F, 3] of one foot, and stance [F] (1 on the floor, 0 in swing)."""
    x, y, pitch = np.zeros_like(times), np.full_like(times, ANKLE_HEIGHT), np.zeros_like(times)
    z, yaw, stance = np.zeros_like(times), np.zeros_like(times), np.ones_like(times)
    push_off = 10 + 2.2 * gait.heel_strike  # a foot that lands flat also leaves flat
    own = np.flatnonzero(steps.right == right)
    for here, there in itertools.pairwise(own):
        on_floor = (times >= steps.contact[here]) & (times < steps.toe_off[there])
        in_air = (times >= steps.toe_off[there]) & (times < steps.contact[there])
        held = (times[on_floor] - steps.contact[here]) / (steps.toe_off[there] - steps.contact[here])
        pitch[on_floor] = -gait.heel_strike * _fall(held / 0.15) + push_off * _rise((held - 0.6) / 0.4)
        x[on_floor], z[on_floor], yaw[on_floor] = steps.x[here], steps.z_cm[here], steps.toe_angle[here]
        swung = (times[in_air] - steps.toe_off[there]) / (steps.contact[there] - steps.toe_off[there])
        blend = _rise(swung)
        pitch[in_air] = push_off * _fall(swung / 0.6) - gait.heel_strike * _rise((swung - 0.5) / 0.5)
        y[in_air] += gait.clearance * np.sin(np.pi * swung) ** 1.5
        for track, values in ((x, steps.x), (z, steps.z_cm), (yaw, steps.toe_angle)):
            track[in_air] = values[here] + blend * (values[there] - values[here])
        stance[in_air] = 0
    x, y = _pitched(x, y, pitch)
    return _foot_points(x, y, z / gait.leg_cm, np.radians(pitch), np.radians(yaw) * (1 if right else -1)) | {
        "stance": stance
    }


def _pitched(x: Floats, y: Floats, pitch: Floats) -> tuple[Floats, Floats]:
    """Returns the ankle after the foot has turned about its ball (pitch above 0) or its heel (below 0)."""
    angle = np.radians(pitch)
    pivot = np.where(pitch > 0, ANKLE_TO_BALL, -ANKLE_TO_HEEL)
    raised_x = pivot - pivot * np.cos(angle) + ANKLE_HEIGHT * np.sin(angle)
    raised_y = pivot * np.sin(angle) + ANKLE_HEIGHT * np.cos(angle) - ANKLE_HEIGHT
    return x + raised_x, y + raised_y


def _foot_points(x: Floats, y: Floats, z: Floats, pitch: Floats, yaw: Floats) -> dict[str, Floats]:
    ankle = np.stack([x, y, z], axis=-1)

    def from_ankle(forwards: float, down: float) -> Floats:
        along = forwards * np.cos(pitch) - down * np.sin(pitch)
        height = -forwards * np.sin(pitch) - down * np.cos(pitch)
        return ankle + np.stack([along * np.cos(yaw), height, along * np.sin(yaw)], axis=-1)

    sole = ANKLE_HEIGHT - 0.03
    return {
        "ankle": ankle,
        "heel": from_ankle(-ANKLE_TO_HEEL, sole),
        "toe": from_ankle(ANKLE_TO_BALL + BALL_TO_TOE, sole),
    }


def _pelvis(gait: Gait, steps: Footfalls, times: Floats, feet: list[dict[str, Floats]]) -> Floats:
    """Returns the pelvis [F, 3]: halfway between the feet in double support, as high as the stance legs allow."""
    knots, places = [], []
    for i in range(1, len(steps.contact) - 1):
        halfway = (steps.x[i] + steps.x[i - 1]) / 2
        knots.append((steps.contact[i] + min(steps.toe_off[i + 1], steps.contact[i] + 0.3)) / 2)
        places.append(halfway)
        if steps.frozen[i + 1]:  # stands still until the foot comes loose
            knots.append(max(steps.toe_off[i + 1] - 0.05, knots[-1] + 0.01))
            places.append(halfway + 0.02)
    x = _smooth(np.interp(times, knots, places), 0.04)
    for before in np.flatnonzero(steps.frozen[1:]):
        stuck = (times > steps.contact[before] + 0.15) & (times < steps.toe_off[before + 1])
        x[stuck] += 0.012 * np.sin(2 * np.pi * TREMBLE_HZ * times[stuck])
    knee = np.radians(gait.knee_flexion)
    reach = np.sqrt(THIGH**2 + SHANK**2 + 2 * THIGH * SHANK * np.cos(knee))
    heights = []
    for foot in feet:
        ahead = foot["ankle"][:, 0] - x
        height = foot["ankle"][:, 1] + np.sqrt(np.maximum(reach**2 - ahead**2, 0.3))
        heights.append(np.where(foot["stance"] > 0, height, np.inf))
    y = _smooth(np.minimum(*heights), 0.03) - 0.005
    loaded = _smooth(feet[1]["stance"] - feet[0]["stance"], 0.1)
    return np.stack([x, y, (0.02 + gait.base_cm / gait.leg_cm / 8) * loaded], axis=-1)


def _knee(hip: Floats, ankle: Floats) -> Floats:
    """Returns the knee [F, 3] by two-link inverse kinematics in the sagittal plane; it bends forwards."""
    reach = ankle[:, :2] - hip[:, :2]
    distance = np.clip(np.linalg.norm(reach, axis=1), abs(THIGH - SHANK) + 0.01, THIGH + SHANK - 1e-4)
    along = (THIGH**2 - SHANK**2 + distance**2) / (2 * distance)
    off = np.sqrt(np.maximum(THIGH**2 - along**2, 0))
    unit = reach / np.linalg.norm(reach, axis=1, keepdims=True)
    forwards = np.stack([-unit[:, 1], unit[:, 0]], axis=-1)
    sagittal = hip[:, :2] + along[:, None] * unit + off[:, None] * forwards
    return np.concatenate([sagittal, (hip[:, 2:] + ankle[:, 2:]) / 2], axis=1)


def _place_trunk(gait: Gait, tracks: Floats) -> None:
    lean = np.radians(gait.trunk_flexion)
    low, high, head = 0.6 * lean, 1.4 * lean, 1.4 * lean + np.radians(gait.head_flexion)
    place = tracks[:, JOINT["pelvis"]]
    links = (
        ("spine", SPINE / 2, low),
        ("neck", SPINE / 2, high),
        ("head", 0.20, head),
        ("face", 0.05, head + np.pi / 2),
    )
    for name, length, angle in links:
        place = place + length * np.array([np.sin(angle), np.cos(angle), 0])
        tracks[:, JOINT[name]] = place


def _place_arms(gait: Gait, tracks: Floats) -> None:
    """Hangs the arms from the neck; each swings with the opposite leg."""
    apart = tracks[:, JOINT["left_ankle"], 0] - tracks[:, JOINT["right_ankle"], 0]
    swing = np.clip(_smooth(apart, 0.04) / (0.95 * np.mean(gait.step_length)), -1.2, 1.2)
    for name, sign, span in (("left", -1, gait.arm_swing[0]), ("right", 1, gait.arm_swing[1])):
        shoulder = tracks[:, JOINT["neck"]] + np.array([0, -0.06, sign * HALF_SHOULDERS])
        upper = np.radians(sign * span / 2 * swing + 0.25 * gait.trunk_flexion - 4)
        lower = upper + np.radians(gait.elbow_flexion + 0.15 * span * np.maximum(sign * swing, 0))
        elbow = shoulder + UPPER_ARM * np.stack([np.sin(upper), -np.cos(upper), 0.12 * sign + 0 * upper], axis=-1)
        wrist = elbow + FOREARM * np.stack([np.sin(lower), -np.cos(lower), -0.1 * sign + 0 * lower], axis=-1)
        for joint, place in (("shoulder", shoulder), ("elbow", elbow), ("wrist", wrist)):
            tracks[:, JOINT[f"{name}_{joint}"]] = place


def _rise(share: Floats) -> Floats:
    """Returns the minimum-jerk course from 0 to 1 (Flash and Hogan, J Neurosci 1985)."""
    s = np.clip(share, 0, 1)
    return s**3 * (10 - 15 * s + 6 * s**2)


def _fall(share: Floats) -> Floats:
    return 1 - _rise(share)


def _smooth(track: Floats, sigma: float) -> Floats:
    """Returns the track [F] at 120 per second after a Gaussian of `sigma` seconds."""
    half = int(np.ceil(3 * sigma * 120))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / (sigma * 120)) ** 2)
    return np.convolve(np.pad(track, half, mode="edge"), kernel / kernel.sum(), mode="valid")
