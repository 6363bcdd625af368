"""How the simulated groups walk: means of the literature, with the overlap that patients show.

Every mean is a rounded value, not a refit. Where a source gives a number it stands in the comment; where it gives only a
direction, the size is ours, and the comment says 'direction'. Postures and arms are from Parkinson's disease, because no
study of dementia with Lewy bodies (DLB) reports them as numbers.

[Hollman]  Hollman, McDade, Petersen. Gait & Posture 2011;34:111-118. Norms of 294 people above 70 years on a walkway.
[Wittwer]  Wittwer, Webster, Menz. Gait & Posture 2010;32:113-117. Alzheimer's disease (AD), at the start and a year on.
[McArdle]  Mc Ardle et al. Alzheimer's & Dementia 2019;15:1367-1377. 36 AD, 45 Lewy body disease, 29 controls, walkway.
[Review]   Mc Ardle et al. J Alzheimer's Dis 2017 (JAD 170541). 26 studies: AD is less impaired than other dementias.
[Fritz]    Fritz et al. Gait & Posture 2016;50:1-7. Lewy body dementia is slower, with shorter strides, than AD and PD.
[Mayo]     Gait differences between AD and DLB and regional amyloid, Mayo Clinic Study of Aging: 70 AD, 70 DLB, 280 controls.
[Lewek]    Lewek et al. Gait & Posture 2010;31:256-260. Arm swing asymmetry 13.9 (7.9) % in early PD, 5.1 (4.0) % in controls.
[Alcock]   Alcock et al. J Biomech 2018. Toe clearance falls with step length, in older adults and in PD.
[Palmisano] Palmisano et al. medRxiv 2023.10.18.23297195. Trunk inclination rises in PD, most with freezing.
[MDS-UPDRS] Goetz et al. Mov Disord 2008;23:2129-2170. Items 3.10 and 3.11: what the scores 0-3 describe.
"""

from dataclasses import dataclass

import numpy as np

from trainables.simulation.walker import Gait

GROUPS = ("healthy", "DLB", "AD")
SCORES = {"healthy": (0.75, 0.25, 0.0, 0.0), "DLB": (0.0, 0.125, 0.5, 0.375), "AD": (0.125, 0.5, 0.25, 0.125)}
"""Share of each MDS-UPDRS gait score 0-3 in a group: parkinsonism is the rule in DLB, mild in AD (ours)."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Distribution of one trait: group means at the group's mean score, slope per score, and spread within a group."""

    healthy: float
    dlb: float
    ad: float
    slope: float
    sd: float
    low: float
    high: float

    def draw(self, group: str, score: int, rng: np.random.Generator) -> float:
        """Returns the trait of one person, within [low, high]."""
        mean = {"healthy": self.healthy, "DLB": self.dlb, "AD": self.ad}[group]
        usual = sum(share * value for value, share in enumerate(SCORES[group]))
        value = mean + self.slope * (score - usual) + self.sd * rng.standard_normal()
        return float(np.clip(value, self.low, self.high))

    def anywhere(self, rng: np.random.Generator) -> float:
        """Returns a value spread evenly over the trait's range, whatever the group."""
        return float(rng.uniform(self.low, self.high))


TRAITS = {
    # [Hollman] step length about 0.60-0.65 m, that is 0.70 leg; [Wittwer] AD stride 1.20 m, a year on 1.13 m;
    # DLB shorter still [Fritz, Mayo: direction].
    "step_length": Effect(0.70, 0.51, 0.63, -0.065, 0.045, 0.22, 0.85),
    # [Hollman] about 0.54 s; [Wittwer] AD 1.04 m/s over a step of 0.60 m gives 0.58 s; [Review] slower rhythm in dementia.
    "step_time": Effect(0.54, 0.58, 0.58, 0.005, 0.035, 0.44, 0.75),
    # [McArdle] asymmetry greater in Lewy body disease than in AD: direction. Share of the mean, left against right.
    "step_time_asymmetry": Effect(0.02, 0.075, 0.03, 0.012, 0.02, 0.0, 0.16),
    "step_length_asymmetry": Effect(0.03, 0.09, 0.04, 0.015, 0.025, 0.0, 0.20),
    # [McArdle, Mayo] step-time variability greater in Lewy body disease: direction.
    "step_time_cv": Effect(0.025, 0.06, 0.035, 0.01, 0.01, 0.01, 0.10),
    # [Wittwer] stride-length variation 3.5 % in AD, 4.6 % a year on; greater in DLB [McArdle, Mayo: direction].
    "step_length_cv": Effect(0.03, 0.065, 0.042, 0.01, 0.012, 0.01, 0.11),
    # [Wittwer] AD 24.2 %, a year on 30.1 %; healthy less, DLB more [Mayo: direction].
    "double_support": Effect(22.5, 31.0, 26.5, 1.5, 2.5, 16.0, 42.0),
    # [Hollman] heel-to-heel 8-10 cm in health; wider in DLB is our assumption about postural control [Mayo: direction].
    "base_cm": Effect(8.5, 11.5, 9.5, 0.5, 2.2, 3.0, 18.0),
    "toe_angle": Effect(7.0, 9.0, 8.0, 0.5, 3.5, -4.0, 20.0),
    # [Alcock] clearance falls with step length: direction. Rise of the ankle, not the clearance of the toe.
    "clearance": Effect(0.10, 0.05, 0.08, -0.02, 0.011, 0.012, 0.13),
    # [MDS-UPDRS] 3.10 asks for heel strike and for the lifting of the feet: direction.
    "heel_strike": Effect(20.0, 9.0, 15.0, -5.0, 3.0, 0.0, 28.0),
    # [Palmisano] trunk inclination rises: direction; [MDS-UPDRS] 3.13 posture.
    "trunk_flexion": Effect(5.0, 18.0, 9.0, 4.0, 3.5, 0.0, 38.0),
    "head_flexion": Effect(8.0, 21.0, 13.0, 3.0, 5.0, -2.0, 40.0),
    # [MDS-UPDRS] 3.10 asks for arm swing; [Lewek] reduced on one side first: direction.
    "arm_swing": Effect(39.0, 16.0, 28.0, -6.5, 5.5, 2.0, 60.0),
    # [Lewek] arm swing asymmetry is near three times that of controls in early PD.
    "arm_asymmetry": Effect(0.08, 0.36, 0.13, 0.03, 0.10, 0.0, 0.75),
    "elbow_flexion": Effect(15.0, 37.0, 20.0, 6.0, 7.0, 4.0, 75.0),
    "knee_flexion": Effect(5.0, 13.0, 8.0, 2.0, 3.5, 0.0, 28.0),
}
FREEZING = {"healthy": (0.0, 0.0, 0.0, 0.0), "DLB": (0.0, 0.0, 0.35, 0.9), "AD": (0.0, 0.0, 0.0, 0.4)}
"""Share of people with freezing pauses, by score: [MDS-UPDRS] 3.11; score 3 of item 3.10 needs help, shuffles, may freeze."""
WITHIN_PERSON = {"step_length": 0.03, "step_time": 0.015, "arm_swing": 0.08, "trunk_flexion": 0.06, "clearance": 0.06}
"""Relative standard deviation between two walks of one person (ours)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """One person's traits by name, which side is the worse one, and how often the person freezes."""

    values: dict[str, float]
    worse_right: bool
    arm_worse_right: bool
    freezing: float


def draw_traits(group: str, score: int, rng: np.random.Generator) -> Traits:
    """Returns the traits of one person of a group ('healthy', 'DLB', 'AD') with a MDS-UPDRS gait score of 0-3."""
    worse_right = bool(rng.random() < 0.5)
    same_side = bool(rng.random() < 0.8)
    freezes = rng.random() < FREEZING[group][score]
    freezing = rng.uniform(0.06, 0.16) if freezes else 0.0
    return Traits(
        values={name: effect.draw(group, score, rng) for name, effect in TRAITS.items()},
        worse_right=worse_right,
        arm_worse_right=worse_right == same_side,
        freezing=float(freezing),
    )


def draw_free_traits(rng: np.random.Generator) -> Traits:
    """Returns traits spread evenly and independently over their ranges: people of no group, to learn single traits from."""
    return Traits(
        values={name: effect.anywhere(rng) for name, effect in TRAITS.items()},
        worse_right=bool(rng.random() < 0.5),
        arm_worse_right=bool(rng.random() < 0.5),
        freezing=float(rng.uniform(0.05, 0.16)) if rng.random() < 0.25 else 0.0,
    )


def walk_of(traits: Traits, leg_cm: float, rng: np.random.Generator) -> Gait:
    """Returns the gait of one walk of a person: the person's traits with a little change from walk to walk."""
    value = dict(traits.values)
    for name, share in WITHIN_PERSON.items():
        value[name] *= 1 + share * float(np.clip(rng.standard_normal(), -2, 2))

    def sides(mean: float, asymmetry: float, worse_right: bool, worse: int) -> tuple[float, float]:
        """Worse is -1 where the worse side has the smaller value."""
        high, low = mean * (1 + worse * asymmetry / 2), mean * (1 - worse * asymmetry / 2)
        return (low, high) if worse_right else (high, low)

    return Gait(
        leg_cm=leg_cm,
        step_time=sides(value["step_time"], value["step_time_asymmetry"], traits.worse_right, 1),
        step_length=sides(value["step_length"], value["step_length_asymmetry"], traits.worse_right, -1),
        step_time_cv=value["step_time_cv"],
        step_length_cv=value["step_length_cv"],
        double_support=value["double_support"],
        base_cm=value["base_cm"],
        toe_angle=(value["toe_angle"], value["toe_angle"]),
        clearance=value["clearance"],
        heel_strike=value["heel_strike"],
        trunk_flexion=value["trunk_flexion"],
        head_flexion=value["head_flexion"],
        arm_swing=sides(value["arm_swing"], value["arm_asymmetry"], traits.arm_worse_right, -1),
        elbow_flexion=value["elbow_flexion"],
        knee_flexion=value["knee_flexion"],
        freezing=traits.freezing,
    )
