"""Simulated places of recording: a room, a camera and a light of their own, and who was filmed where."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from trainables.simulation.renderer import Look, draw_look

LIGHT = (0.7, 1.0, 1.25, 0.85, 1.12)
"""Brightness of the sites, one after another."""
OF_THE_PLACE = ("wall", "floor", "furniture", "stripe", "azimuth", "elevation", "zoom", "gamma", "lamp", "noise")
"""What of a look belongs to the place; clothes, build and skin belong to the person."""


def draw_sites(
    groups: Sequence[str], order: Sequence[str], sites: int, bias: float, rng: np.random.Generator
) -> list[int]:
    """Returns each subject's site, from 0: evenly spread within each group, but for a share whose group decides.

    Args:
        groups: Of each subject.
        order: All groups; the first is filmed at the first site where the group decides.
        sites: How many there are.
        bias: The share, 0-1.
        rng: Draws sites, and whose group decides.
    """
    found = [0] * len(groups)
    for group in order:
        members = [i for i, one in enumerate(groups) if one == group]
        for i, site in zip(members, rng.permutation(np.arange(len(members)) % sites), strict=True):
            found[i] = int(site)
    decides = rng.random(len(groups)) < bias
    return [order.index(groups[i]) % sites if decides[i] else found[i] for i in range(len(groups))]


def at_site(look: Look, site: int, rng: np.random.Generator) -> Look:
    """Returns a look as it is filmed at a site: in its room, from its angle, in its light and with its camera.

    Args:
        rng: Draws the room; the same for everybody at the site.
    """
    room = draw_look(rng)
    place = {name: getattr(room, name) for name in OF_THE_PLACE}
    return dataclasses.replace(look, **place, light=LIGHT[site % len(LIGHT)])
