"""How the videos of a manifest are found: accents, links, and files that stand for a content that was not fetched."""

import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from tests.errors import coded
from tests.trainables.cohort import test_manifest
from tests.trainables.cohort.test_manifest import FOUR, manifest, read
from tests.trainables.cohort.test_manifest_files import video_problem
from tests.videos import write_video
from trainables.cohort.new_videos import read_manifest_videos, read_videos
from trainables.errors import CohortError, StridefoldError

folder, shelf = test_manifest.folder, test_manifest.shelf  # pytest finds fixtures by their name in this module


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def found(folder: Path, name: str, **options) -> str:
    """Returns where one more video of a good cohort was found."""
    cohort, _ = read(manifest(folder, *FOUR, f'E,"{name}",x'), **options)
    paths = dict(cohort.videos.select("subject", "path").rows())
    return str(paths["E"])


@pytest.mark.parametrize(("disk", "table"), [(decomposed, composed), (composed, decomposed)])
@pytest.mark.parametrize("name", ["Müller_links.mp4", "Ärzte/Zoé.mp4", "한국/걷기.mp4"])
def test_accents_composed_or_decomposed(folder, name, disk, table):
    """A name from a Mac is found under the name that Excel writes, and the other way round, in folders too."""
    write_video(folder / disk(name), seed=70)
    assert found(folder, table(name)) == str(folder / disk(name))
    names = read(folder / "cohort.csv")[0].videos["video"].to_list()
    assert table(name) in names  # as the manifest spells it


def test_both_spellings_are_two_files(folder):
    """Where both are on the disk, each name means its own file."""
    for seed, form in ((71, composed), (72, decomposed)):
        write_video(folder / form("Zoé.mp4"), seed=seed)
    assert found(folder, composed("Zoé.mp4")) == str(folder / composed("Zoé.mp4"))
    assert found(folder, decomposed("Zoé.mp4")) == str(folder / decomposed("Zoé.mp4"))


@pytest.mark.parametrize(
    ("disk", "table"),
    [
        ("a\u00a0b.mp4", "a b.mp4"),
        ("a\u200bb.mp4", "ab.mp4"),
        ("a–b.mp4", "a-b.mp4"),
        ("а.mp4", "a.mp4"),
        ("a.mp4", "a\ufe0f.mp4"),
    ],
)
def test_names_that_only_look_the_same(folder, disk, table):
    """Another kind of space or dash, or a character that cannot be seen, is spelled out."""
    write_video(folder / disk, seed=73)
    said = video_problem(folder, table)
    assert f"there is {disk!a}, which looks the same as {table!a} and is spelled otherwise" in said


def store_of(folder: Path, tmp_path_factory) -> Path:
    """Returns a folder elsewhere with a video, as a content store or a network drive has it."""
    store = tmp_path_factory.mktemp("store")
    shutil.copy(folder / "4.mp4", store / "a1b2")
    return store


def test_links_out_of_the_folder_when_allowed(folder, tmp_path_factory):
    """Links of files, as DVC and git-annex make them, and of folders, as a mounted drive needs, are followed when asked."""
    store = store_of(folder, tmp_path_factory)
    (folder / "walk.mp4").symlink_to(store / "a1b2")
    (folder / "nas").symlink_to(store)
    for name in ("walk.mp4", "nas/a1b2"):
        assert "--follow-links" in video_problem(folder, name)
        notes: list[str] = []
        assert found(folder, name, follow_links=True, on_note=notes.append) == str(store / "a1b2")
        assert notes[-1] == (
            "1 video is a link out of the manifest's folder, allowed by --follow-links; the first leads to "
            + str(store)
        )
    new = manifest(folder, "E,walk.mp4", header="subject,video", name="new.csv")
    assert read_manifest_videos(new, follow_links=True)["path"].to_list() == [str(store / "a1b2")]
    with pytest.raises(CohortError, check=coded("cohort.problems", "walk.mp4", "--follow-links")):
        read_manifest_videos(new)


def test_what_following_links_does_not_allow(folder):
    """Paths that leave the folder, absolute ones, and devices stay errors."""
    (folder / "zero.mp4").symlink_to("/dev/zero")
    for name in ("../x.mp4", "/etc/passwd", "zero.mp4"):
        with pytest.raises(CohortError, check=coded("cohort.problems", name)):
            read(manifest(folder, *FOUR, f"E,{name},x"), follow_links=True)


@pytest.mark.parametrize(
    ("target", "remedy"),
    [
        (".git/annex/objects/aa/bb/MD5E-s123--0.mp4", "'git annex get walk.mp4' or 'datalad get walk.mp4'"),
        ("../.dvc/cache/files/md5/aa/bb", "'dvc pull walk.mp4'"),
        ("/mnt/nas/walk.mp4", "fetch the file, or mount the drive that holds it"),
    ],
)
def test_a_link_whose_content_was_not_fetched(folder, target, remedy):
    """A link to nowhere says where it leads, and how its content is fetched."""
    (folder / "walk.mp4").symlink_to(target)
    said = video_problem(folder, "walk.mp4")
    assert said.startswith(f"'walk.mp4' is a link to {target}, which is not there; ")
    assert remedy in said
    with pytest.raises(StridefoldError, check=coded("videos.problems", "walk.mp4")):
        read_videos((str(folder / "walk.mp4"),))


def test_a_folder_that_is_a_link_to_nowhere(folder):
    """A drive that is not mounted is named."""
    (folder / "videos").symlink_to("/mnt/not-mounted")
    assert video_problem(folder, "videos/a.mp4").startswith(
        "'videos/a.mp4' lies in 'videos', which is a link to /mnt/not-mounted, which is not there"
    )


def test_a_chain_of_links(folder):
    """The last link of a chain is the one that leads nowhere."""
    (folder / "one.mp4").symlink_to("two.mp4")
    (folder / "two.mp4").symlink_to("three.mp4")
    assert video_problem(folder, "one.mp4").startswith("'one.mp4' is a link to three.mp4, which is not there")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer to a file of 12,345 bytes"),
        ("version https://git-lfs.github.com/spec/v1\r\noid sha256:4d7a\r\nsize 7\r\n", "a Git LFS pointer to a file of 7 bytes"),
        ("/annex/objects/MD5E-s123--0.mp4\n", "a git-annex pointer"),
        ("../.git/annex/objects/aa/bb/MD5E-s123--0.mp4/MD5E-s123--0.mp4", "a git-annex pointer"),
        ("outs:\n- md5: a1b2\n  path: walk.mp4\n", "a DVC file"),
        ("../store/a1b2.bin", "a text file that holds the path '../store/a1b2.bin'"),
    ],
)  # fmt: skip
def test_files_that_stand_for_another(folder, content, said):
    """Pointers of Git LFS, git-annex and DVC, and a link that became a text file, are named as such."""
    (folder / "walk.mp4").write_bytes(content.encode())
    assert video_problem(folder, "walk.mp4").startswith(f"'walk.mp4' is {said}")
    with pytest.raises(StridefoldError, check=coded("videos.problems", "walk.mp4")):
        read_videos((str(folder / "walk.mp4"),))


@pytest.mark.parametrize(
    ("stand_in", "said"), [("walk.mp4.dvc", "only its DVC file"), (".walk.mp4.icloud", "in iCloud")]
)
def test_a_stand_in_next_to_a_missing_file(folder, stand_in, said):
    """DVC's file and iCloud's place holder say why a video is not there."""
    (folder / stand_in).write_text("x")
    assert said in video_problem(folder, "walk.mp4")


def test_a_folder_that_may_not_be_listed(folder):
    """A name with accents in a folder without permission is said to be out of reach."""
    (folder / "closed").mkdir()
    os.chmod(folder / "closed", 0)
    try:
        assert "'closed/ü.mp4'" in video_problem(folder, "closed/ü.mp4")
    finally:
        os.chmod(folder / "closed", 0o700)
