"""How a cell reads to a person: characters that cannot be seen, words for 'missing', and texts that look the same."""

import re
import unicodedata


def word_set(text: str) -> frozenset[str]:
    """Returns the words of a text."""
    return frozenset(text.split())


MISSING = word_set("""na n/a n.a. n.-a. n.a #na #n/a #n/a-n/a <na> nan -nan nat null (null) \\n - -- --- – — . .. ... ? ?? ??? missing
    (missing) unknown unk undefined unavailable 1.#ind -1.#ind 1.#qnan -1.#qnan n/k k.a. k.-a. k.a keine-angabe unbekannt
    fehlend fehlt inconnu manquant desconocido sconosciuto mancante not-available not-applicable not-known not-recorded
    not-measured not-done no-data no-value n.d. n/d n\\a n.v. n.v.t. #nv tbd tba tbc pending empty blank no-label unlabeled
    unlabelled missing-data not-assessed not-collected not-determined not-evaluated not-examined not-given not-obtained
    not-performed not-specified not-stated not-tested nicht-erhoben nicht-erfasst nicht-bekannt keine-daten
    non-disponible no-disponible non-renseigné""")
"""Words that tables hold where nothing is known, in small letters, a hyphen for a space: those of pandas, R, SPSS, Excel,
SQL and BIDS, and what people type."""
NONE = frozenset({"none", "nil"})
"""Words that are the lowest class of many scales, and are written for missing values too."""
SIGNS = re.compile(r"[-?.*/\\~#_–—−]+|\.[a-z]")
"""Signs alone, however many, and the special missing values .a to .z of SAS and Stata."""
BROKEN = frozenset({"#ref!", "#value!", "#div/0!", "#name?", "#num!", "#null!", "#spill!", "#calc!"})
"""What a spreadsheet writes for a formula that failed."""
BLANKS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Characters without ink that Unicode does not count among format characters."""
SAME_INK = str.maketrans(
    "АВЕЗКМНОРСТУХЅІЈаеорсухѕіј" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABE3KMHOPCTYXSIJaeopcyxsij" + "ABEZHIKMNOPTYXo"
)
"""Cyrillic and Greek letters that are drawn as Latin ones."""


def is_invisible(character: str) -> bool:
    """Returns whether a character is neither drawn nor white space, as a zero-width space or a byte-order mark."""
    category = unicodedata.category(character)
    selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return category == "Cf" or (category == "Cc" and not character.isspace()) or character in BLANKS or selector


def seen(text: str) -> str:
    """Returns a text without its invisible characters."""
    return "".join(character for character in text if not is_invisible(character))


def tidy(cell: str) -> str:
    """Returns a cell without the white space around it, '' where nothing in it can be seen."""
    return cell.strip() if seen(cell).strip() else ""


def is_missing(cell: str) -> bool:
    """Returns whether a cell says that its value is not known, in a word, a sign, or by being empty."""
    word = "-".join(seen(unicodedata.normalize("NFKC", cell)).casefold().split())
    close = re.sub(r"-?([./])-?", r"\1", word)  # n / a
    return not word or bool({word, close} & MISSING) or SIGNS.fullmatch(word) is not None


def is_unmeasured(cell: str) -> bool:
    """Returns whether a cell of a column of numbers says that nothing was measured."""
    return is_missing(cell) or cell.strip().casefold() in NONE


def look(text: str) -> str:
    """Returns what a text looks like: two that look the same to a person have the same look.

    Compatibility forms, invisible characters, capitals, kinds of dashes and of white space, letters of other scripts with
    the same ink, and the '.0' that a whole number gets from a column with gaps make no difference.
    """
    drawn = _ink(unicodedata.normalize("NFKC", _ink(text).casefold()))
    drawn = re.sub(r'^="(.*)"$', r"\1", drawn).lstrip("'`\u2019")  # how spreadsheets keep a number as text
    drawn = re.sub(r"(?<=\d)[.,]0+$", "", drawn)
    return re.sub(r"[\s_-]+", " ", drawn)


def look_of_id(text: str) -> str:
    """Returns the look of an identifier: P01, P-1 and P 1 are P1, 007 and +7 are 7, and 1E3 is 1000.

    Leading zeros make no difference, nor what stands between a letter and a digit, white space around punctuation, a sign
    at the end, and how a spreadsheet writes a number or another script its digits.
    """
    drawn = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in look(text))
    drawn = re.sub(r" ?([.,;:/]) ?", r"\1", drawn).rstrip(" .,;:").lstrip("+")
    if re.fullmatch(r"\d+(\.\d+)?e\+?\d{1,2}", drawn) and float(drawn).is_integer():
        drawn = str(int(float(drawn)))
    drawn = re.sub(r"(?<=[^\W\d]) (?=\d)|(?<=\d) (?=[^\W\d])", "", drawn)
    return re.sub(r"(?<!\d)0+(?=\d)", "", drawn)


def is_shortened(text: str) -> bool:
    """Returns whether an identifier is a long number as a spreadsheet shows it, 1.23457E+11, with its last digits lost."""
    return re.fullmatch(r"\d[.,]\d+E\+\d{2}", text) is not None


def written(text: str) -> str:
    """Returns a text in quotes, its invisible characters as escapes, so that it can be told from one that looks the same."""
    return "".join(ascii(c)[1:-1] if is_invisible(c) else c for c in repr(text))


def told_apart(texts: list[str]) -> list[str]:
    """Returns texts in quotes that can be told apart by eye; those that are drawn alike are spelled out in ASCII."""
    return [ascii(t) if any(drawn_alike(t, other) for other in texts) else written(t) for t in texts]


def drawn_alike(one: str, other: str) -> bool:
    """Returns whether two different texts are the same to the eye, down to capitals, dashes and digits."""
    return one != other and _ink(one) == _ink(other)


def _ink(text: str) -> str:
    drawn = seen(unicodedata.normalize("NFKC", text)).translate(SAME_INK)
    return "".join("-" if unicodedata.category(c) == "Pd" or c == "\u2212" else c for c in " ".join(drawn.split()))
