"""The words in which the backbone `small` learns about gait: for each trait, ranges of its value and their wordings.

Words describe how a walk looks, never who walks: no group, no disease, no score. Ranges overlap, because everyday words
do: a step of 0.5 leg lengths is both 'short' and 'reduced'. Limits of speed are the clinical cut-offs of 0.6, 0.8 and
1.0 m/s for a leg of 0.9 m; the others divide the range that the simulation covers.
"""

from dataclasses import dataclass

ANY = float("inf")


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said of a trait whose value lies in [low, high)."""

    low: float
    high: float
    phrases: tuple[str, ...]
    """Each stands alone, as 'stooped posture'."""
    adjectives: tuple[str, ...] = ()
    """Each stands before 'gait', 'walking' or 'steps', as 'shuffling'."""


TRAIT_WORDS: dict[str, tuple[Wording, ...]] = {
    "speed": (
        Wording(
            0, 0.69, ("very slow walking", "markedly reduced walking speed", "hesitant slow walking"), ("very slow",)
        ),
        Wording(
            0,
            1.10,
            ("slow walking", "slow gait", "reduced walking speed", "low walking speed", "slowness", "walks slowly"),
            ("slow", "slowed", "sluggish"),
        ),
        Wording(
            0.69,
            1.10,
            ("slow cautious walking", "cautious gait", "cautious walking", "careful steps", "measured steps"),
            ("cautious", "slow cautious", "careful"),
        ),
        Wording(
            0.92,
            1.20,
            (
                "slightly slow walking",
                "slightly reduced speed",
                "slightly slower pace",
                "moderate pace",
                "mild slowing",
            ),
            ("slightly slow", "unhurried"),
        ),
        Wording(
            1.15,
            ANY,
            ("brisk walking", "normal walking speed", "fast gait", "comfortable speed", "good pace", "walks fast"),
            ("brisk", "fast", "confident", "quick", "effortless"),
        ),
    ),
    "cadence": (
        Wording(0, 95, ("low cadence", "slow rhythm", "few steps per minute", "long step time", "slow stepping")),
        Wording(95, 112, ("moderate cadence", "ordinary rhythm", "ordinary cadence")),
        Wording(
            112, ANY, ("high cadence", "quick rhythm", "many steps per minute", "short step time", "hurried steps")
        ),
    ),
    "step": (
        Wording(
            0,
            0.45,
            ("very short steps", "very small steps", "tiny steps", "hesitant small steps", "many small steps"),
            ("very short stepped", "tiny stepped", "small stepped"),
        ),
        Wording(
            0,
            0.58,
            (
                "short steps",
                "shortened steps",
                "small steps",
                "reduced step length",
                "reduced stride length",
                "short strides",
            ),
            ("short", "short stepped", "small"),
        ),
        Wording(
            0.55,
            0.67,
            ("slightly short steps", "slightly shortened steps", "slightly reduced stride length", "medium steps"),
            ("slightly short",),
        ),
        Wording(
            0.66,
            ANY,
            ("long steps", "long strides", "normal stride length", "large steps", "wide strides", "good step length"),
            ("long", "long stepped", "striding"),
        ),
    ),
    "trunk": (
        Wording(
            0,
            8,
            ("upright posture", "erect posture", "upright trunk", "erect trunk", "straight back", "stands tall"),
            ("upright", "erect"),
        ),
        Wording(8, 15, ("slightly stooped posture", "slight forward lean", "mildly bent trunk", "slight stoop")),
        Wording(
            14,
            ANY,
            (
                "stooped posture",
                "stooped trunk",
                "flexed trunk",
                "forward lean",
                "bent posture",
                "hunched back",
                "stoop",
            ),
            ("stooped", "bent", "hunched"),
        ),
        Wording(
            24,
            ANY,
            ("severely stooped posture", "strongly flexed trunk", "camptocormia", "bent forwards", "markedly stooped"),
            ("severely stooped",),
        ),
    ),
    "head": (
        Wording(-ANY, 12, ("head held high", "upright head", "head up", "straight neck", "gaze ahead")),
        Wording(12, 24, ("slightly lowered head", "head slightly bent")),
        Wording(22, ANY, ("head bent down", "dropped head", "flexed neck", "lowered head", "looks at the floor")),
    ),
    "arms": (
        Wording(
            0, 12, ("absent arm swing", "arms held still", "no arm swing", "lost arm swing", "arms close to the body")
        ),
        Wording(
            0,
            25,
            (
                "reduced arm swing",
                "decreased arm swing",
                "little arm swing",
                "poor arm swing",
                "stiff arms",
                "rigid arms",
            ),
            ("stiff", "rigid"),
        ),
        Wording(22, 34, ("slightly reduced arm swing", "moderate arm swing", "mildly reduced arm swing")),
        Wording(
            32,
            ANY,
            (
                "full arm swing",
                "normal arm swing",
                "freely swinging arms",
                "arms swing freely",
                "both arms swing",
                "large arm swing",
            ),
            ("loose", "free"),
        ),
    ),
    "arm_asymmetry": (
        Wording(0, 0.14, ("equal arm swing on both sides", "symmetric arm swing", "both arms swing alike")),
        Wording(0.14, 0.3, ("slightly asymmetric arm swing", "slightly unequal arm swing")),
        Wording(
            0.25,
            ANY,
            ("reduced arm swing on one side", "asymmetric arm swing", "one arm swings less", "unequal arm swing"),
        ),
    ),
    "elbow": (
        Wording(0, 20, ("straight arms", "extended elbows", "arms hang straight")),
        Wording(20, 35, ("slightly bent elbows", "slightly flexed elbows")),
        Wording(33, ANY, ("flexed elbows", "bent arms", "bent elbows", "arms held in flexion", "arms bent")),
    ),
    "knee": (
        Wording(0, 7, ("straight knees", "extended knees", "extended legs")),
        Wording(7, 14, ("slightly bent knees", "slightly flexed knees")),
        Wording(13, ANY, ("flexed knees", "bent knees", "bent legs", "crouched legs"), ("crouched",)),
    ),
    "clearance": (
        Wording(
            0,
            0.045,
            (
                "shuffling",
                "dragging feet",
                "feet scrape the floor",
                "shuffling steps",
                "shuffling gait",
                "scuffing feet",
            ),
            ("shuffling", "dragging", "scuffing"),
        ),
        Wording(0, 0.07, ("low foot clearance", "reduced foot clearance", "feet lifted little", "poor foot lift")),
        Wording(
            0.065,
            ANY,
            ("good foot clearance", "feet lifted well", "clear foot lift", "feet clear the floor", "normal foot lift"),
        ),
    ),
    "landing": (
        Wording(
            0, 9, ("flat foot landing", "flat foot contact", "no heel strike", "lands flat", "missing heel strike")
        ),
        Wording(5, 16, ("reduced heel strike", "weak heel strike")),
        Wording(
            14, ANY, ("clear heel strike", "heel strikes first", "normal heel strike", "heel first", "heel contact")
        ),
    ),
    "asymmetry": (
        Wording(
            0,
            0.12,
            ("symmetric steps", "symmetric gait", "even left and right steps", "symmetric walking", "both sides alike"),
            ("symmetric", "even", "balanced"),
        ),
        Wording(
            0.05,
            0.18,
            ("nearly symmetric gait", "mild asymmetry", "slightly uneven steps", "slight asymmetry"),
            ("nearly symmetric", "slightly asymmetric"),
        ),
        Wording(
            0.16,
            ANY,
            ("asymmetric steps", "asymmetric gait", "limping", "uneven steps", "marked left-right asymmetry", "limp"),
            ("asymmetric", "limping", "uneven", "lopsided"),
        ),
    ),
    "variability": (
        Wording(
            0,
            0.085,
            (
                "regular steps",
                "steady rhythm",
                "low step variability",
                "even rhythm",
                "steady walking",
                "constant rhythm",
            ),
            ("regular", "steady", "rhythmic"),
        ),
        Wording(0.08, 0.13, ("slightly irregular steps", "moderate variability"), ("slightly irregular",)),
        Wording(
            0.11,
            ANY,
            (
                "irregular steps",
                "unsteady rhythm",
                "high step variability",
                "increased gait variability",
                "irregular rhythm",
            ),
            ("irregular", "unsteady", "variable", "unstable"),
        ),
    ),
    "support": (
        Wording(0, 24, ("short double support", "long swing phase", "long single support")),
        Wording(24, 30, ("slightly prolonged double support",)),
        Wording(
            28,
            ANY,
            ("prolonged double support", "long double support", "short swing phase", "reduced single support"),
        ),
    ),
    "base": (
        Wording(
            0, 8, ("narrow base of support", "narrow base", "feet close together", "narrow steps"), ("narrow based",)
        ),
        Wording(7, 12, ("ordinary base of support", "normal step width")),
        Wording(
            11.5,
            ANY,
            ("wide base of support", "wide base", "broad base", "unsteady balance", "poor balance", "feet wide apart"),
            ("broad based", "wide based", "unsteady"),
        ),
    ),
    "toes": (
        Wording(-ANY, 4, ("feet pointing forwards", "toe in", "feet turned in")),
        Wording(4, ANY, ("toe out", "feet turned out", "large toe out angle")),
    ),
    "freezing": (
        Wording(
            0, 0.01, ("no freezing", "walking without pauses", "fluent walking", "no pauses"), ("fluent", "smooth")
        ),
        Wording(
            0.01,
            ANY,
            (
                "freezing of gait",
                "freezing",
                "start hesitation",
                "hesitation",
                "pauses with the feet stuck to the floor",
                "stops and starts",
            ),
            ("hesitant", "halting"),
        ),
    ),
}
"""Traits in the order of sentences.values_of."""


def main() -> None:
    """Prints the known words as a table, one line for each range of a trait."""
    for trait, wordings in TRAIT_WORDS.items():
        for wording in wordings:
            words = ", ".join((*wording.phrases, *(f"{adjective} gait" for adjective in wording.adjectives)))
            print(f"{trait} from {wording.low} to {wording.high}: {words}")


if __name__ == "__main__":
    main()
