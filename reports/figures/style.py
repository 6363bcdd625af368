"""Turns a matplotlib figure into inline SVG that follows the page's colours, in light and in dark."""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER, BAND = "#010101", "#010102", "#010103", "#010104", "#010105"
"""Stand-ins that become the page's own variables: matplotlib knows no CSS."""
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
"""Okabe and Ito's colours, told apart with any colour vision; marks differ too."""
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--paper)",
    BAND: "var(--band)",
    BLUE: "var(--blue)",
    VERMILLION: "var(--vermillion)",
    GREEN: "var(--green)",
}
WIDE, PHONE, SMALL = 620, 320, 330
"""Natural widths of drawings in CSS pixels."""
SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A figure as the page shows it: the drawing, its text alternative, and its numbers as a table."""

    name: str
    """Unique on the page; begins every id inside the drawing."""
    title: str
    description: str
    width: int
    """Natural width in CSS pixels."""
    svg: Markup
    narrow: Markup | None
    """The same for a phone, drawn again so that its text stays legible; None where the drawing is small anyway."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def canvas(name: str) -> AbstractContextManager[Any]:
    """Returns the settings under which a figure is made and saved: names stay text, and the bytes depend on nothing else."""
    return matplotlib.rc_context(
        {
            "text.parse_math": False,
            "svg.hashsalt": name,
            "svg.fonttype": "none",
            "font.family": "DejaVu Sans",
            "font.size": 12,
            "axes.edgecolor": GRID,
            "axes.labelcolor": MUTED,
            "axes.labelsize": 12,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.color": INK,
            "xtick.color": GRID,
            "ytick.color": GRID,
            "xtick.labelcolor": MUTED,
            "ytick.labelcolor": MUTED,
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
            "axes.grid": False,
            "axes.formatter.use_mathtext": False,
        }
    )


def draw(
    name: str,
    paint: Callable[[Figure, bool], None],
    *,
    size: tuple[int, int],
    narrow: tuple[int, int] | None = None,
    title: str,
    description: str,
    header: tuple[str, ...],
    rows: tuple[tuple[str, ...], ...],
) -> Drawing:
    """Returns what `paint` puts on an empty figure, with its text alternative and its table.

    Args:
        name: Unique on the page.
        paint: Draws on a figure; its second argument says whether that is the narrow one.
        size: Width and height in CSS pixels.
        narrow: The same for the phone's drawing.
        title: Heading and accessible name.
        description: What the drawing shows, in words and numbers.
        header: Of the table.
        rows: Every number drawn, as text.
    """
    return Drawing(
        name=name,
        title=title,
        description=description,
        width=size[0],
        svg=_painted(name, paint, size, False, (title, description)),
        narrow=_painted(f"{name}-narrow", paint, narrow, True, (title, description)) if narrow else None,
        header=header,
        rows=rows,
    )


def named_rows(axes: Axes, names: Sequence[str], narrow: bool) -> None:
    """Gives each row of a drawing its name: at the left, or on a phone above the row."""
    axes.set_ylim(len(names) - (0.6 if narrow else 0.5), -0.85 if narrow else -0.6)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    short = [n if len(n) <= 44 else f"{n[:43]}…" for n in names]
    axes.set_yticks(range(len(names)), [""] * len(names) if narrow else short)
    axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=12)
    for row, text in enumerate(short if narrow else []):
        axes.annotate(text, (0, row - 0.38), xycoords=("axes fraction", "data"), va="center", fontsize=12)


def _painted(
    name: str, paint: Callable[[Figure, bool], None], size: tuple[int, int], narrow: bool, words: tuple[str, str]
) -> Markup:
    with canvas(name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's own fonts draw the text, not matplotlib's
        figure = Figure(figsize=(size[0] / 72, size[1] / 72), layout="constrained")
        figure.patch.set_visible(False)
        paint(figure, narrow)
        for axes in figure.axes:
            axes.patch.set_visible(False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(buffer.getvalue(), name, *words)


def _inline(raw: bytes, name: str, title: str, description: str) -> Markup:
    root = ElementTree.fromstring(raw)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{SVG}style", f"{SVG}metadata") or child.tag.endswith("}RDF"):
                parent.remove(child)
    used = set(re.findall(r"#([\w-]+)", " ".join(v for e in root.iter() for k, v in e.attrib.items() if k != "id")))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        kept = {}
        for key, text in element.attrib.items():
            key = key.rpartition("}")[2]
            if key == "id" and text not in used:
                continue
            kept[key] = _attribute(key, text, name)
        element.attrib.clear()
        element.attrib.update(kept)
    box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "role": "img", "aria-labelledby": f"{name}-title {name}-description"})
    for tag, text in (("desc", description), ("title", title)):
        label = ElementTree.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'description'}"})
        label.text = text
        root.insert(0, label)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # serialised by ElementTree, which escapes every text


def _attribute(key: str, text: str, name: str) -> str:
    if key == "id":
        return f"{name}-{text}"
    if key == "href":
        return text.replace("#", f"#{name}-", 1)
    text = text.replace("url(#", f"url(#{name}-")
    if key == "style":
        text = re.sub(r"font-family:[^;]*;?", "", text)
        text = re.sub(r"font: ?([\d.]+px)[^;]*", r"font-size: \1", text)
        for colour, variable in VARIABLES.items():
            text = text.replace(colour, variable)
    return text
