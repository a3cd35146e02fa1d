from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import zoo
from zoo import checkpoint
from zoo.checkpoint import CheckpointFile, build, found_at, git_blob, locate, read_into
from zoo.cnnf import four_conv, load_public
from zoo.cnnf.public import public_names
from zoo.entry import CheckpointError, Download, Shipped


def public_state(model: zoo.cnnf.CNNF) -> dict[str, torch.Tensor]:
    """Return a model's weights in the authors' layout, with every tied copy."""
    parameters = dict(model.named_parameters())
    state: dict[str, torch.Tensor] = {}
    for public, ours in public_names(model):
        value = parameters[ours].detach().clone()
        if public.endswith(".bias"):
            value = value.reshape(1, -1, 1, 1) if "ins" in public else value.reshape(1, -1)
        state[public] = value
        if public.endswith(".conv.weight"):
            state[public.replace(".conv.", ".conv_t.")] = value
        if public.endswith(".linear.weight"):
            state[public.replace(".linear.", ".linear_t.")] = value.t().contiguous()
            state[public.replace(".linear.", ".")] = value
    return state


def as_file(path: Path) -> CheckpointFile:
    return CheckpointFile(path, "", {})


@pytest.mark.parametrize("name", zoo.ENTRIES)
def test_every_entry_builds_under_its_own_name(name: str) -> None:
    """The catalogue is consistent: keys are names, factories exist, settings fit."""
    entry = zoo.ENTRIES[name]

    assert entry.name == name
    assert isinstance(build(entry), torch.nn.Module)


SHIPPED = [name for name, entry in zoo.ENTRIES.items() if "shipped" in entry.checkpoints]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_load(name: str) -> None:
    """Weights in the package are verified, finite, and give logits."""
    model = zoo.load(name)
    channels = 1 if zoo.ENTRIES[name].dataset == "fashion_mnist" else 3
    size = 28 if channels == 1 else 32
    logits = model.unroll(torch.rand(2, channels, size, size), zoo.ENTRIES[name].iterations)

    assert logits.shape == (zoo.ENTRIES[name].iterations + 1, 2, 10)
    assert logits.isfinite().all()
    assert not model.training


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_describe_their_file(name: str) -> None:
    """A card names the hash, the parameter count and the measured accuracies of its weights."""
    file = locate(zoo.ENTRIES[name], "shipped")

    assert file.card["model"] == name.removesuffix("_tuned")
    assert file.card["parameters"] == sum(p.numel() for p in build(zoo.ENTRIES[name]).parameters())
    for accuracy in file.card["accuracies"]:
        assert 0 <= accuracy["correct"] <= accuracy["n"]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_authors_layout_round_trips(suffix: str, tmp_path: Path) -> None:
    """A file in the authors' layout, tied copies and all, gives back the network it came from."""
    model = build(zoo.ENTRIES["cnnf_cifar"])
    path = tmp_path / f"model{suffix}"
    state = public_state(model)
    if suffix == ".pt":
        torch.save(state, path)
    else:
        save_file({name: value.clone() for name, value in state.items()}, path)
    loaded = zoo.load("cnnf_cifar", checkpoint=str(path))

    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


@pytest.mark.parametrize("copy", ["conv1.conv_t.weight", "fc2.linear_t.weight", "fc3.weight"])
def test_disagreeing_copies_are_refused(copy: str) -> None:
    """Tied weights that differ mean a damaged or foreign file."""
    state = public_state(four_conv(2))
    state[copy] = state[copy] + 1

    with pytest.raises(ValueError, match=f"tied parameters disagree: '{copy}'"):
        load_public(four_conv(2), state)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    """The message names the file and what does not fit."""
    path = tmp_path / "other.pt"
    torch.save(public_state(four_conv(2)), path)

    with pytest.raises(CheckpointError, match=r"other\.pt does not fit the network: .*parameters missing"):
        zoo.load("cnnf_cifar", checkpoint=str(path))


def test_another_shape_is_refused() -> None:
    """A wider network has the same names and other shapes."""
    state = {name: value for name, value in public_state(four_conv(2)).items() if "conv_t" not in name}
    state["conv2.conv.weight"] = torch.ones(16, 1, 3, 3)

    with pytest.raises(ValueError, match=r"has shape \(16, 1, 3, 3\), expected"):
        load_public(four_conv(2), state)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.pt", b"<!DOCTYPE html><html>Quota exceeded</html>"),
        ("page.safetensors", b"<!DOCTYPE html><html>Quota exceeded</html>"),
        ("empty.pt", b""),
        ("empty.safetensors", b""),
        ("words.pt", b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"),
    ],
)
def test_files_that_are_no_checkpoints_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    """Garbage under a checkpoint's name gives one line."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=f"{name} is not a checkpoint or is truncated"):
        read_into(four_conv(2), as_file(path))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_truncated_files_are_refused(suffix: str, tmp_path: Path) -> None:
    """A download that stopped half-way gives one line."""
    path = tmp_path / f"half{suffix}"
    state = public_state(four_conv(2))
    if suffix == ".pt":
        torch.save(state, path)
    else:
        save_file({name: value.clone() for name, value in state.items()}, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(CheckpointError, match="is not a checkpoint or is truncated"):
        read_into(four_conv(2), as_file(path))


def test_pickled_code_is_never_run(tmp_path: Path) -> None:
    """A .pt file that wants to call a function is refused before it can."""
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self):
            return Path.touch, (marker,)

    path = tmp_path / "payload.pt"
    torch.save({"conv1.conv.weight": Payload()}, path)
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        read_into(four_conv(2), as_file(path))

    assert not marker.exists()


def test_something_else_than_tensors_is_refused(tmp_path: Path) -> None:
    """A readable file that holds no state dict is refused."""
    path = tmp_path / "list.pt"
    torch.save([1, 2, 3], path)

    with pytest.raises(CheckpointError, match="does not hold a mapping"):
        read_into(four_conv(2), as_file(path))


def test_damaged_shipped_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One flipped bit in a shipped file is found by its card."""
    source = checkpoint.WEIGHTS / "cnnf_fmnist.safetensors"
    content = bytearray(source.read_bytes())
    content[-1] ^= 1
    (tmp_path / source.name).write_bytes(content)
    (tmp_path / "cnnf_fmnist.json").write_bytes(source.with_suffix(".json").read_bytes())
    monkeypatch.setattr(checkpoint, "WEIGHTS", tmp_path)

    with pytest.raises(CheckpointError, match="is damaged or not what its card is of"):
        zoo.load("cnnf_fmnist")


def test_a_path_is_held_against_the_card_beside_it(tmp_path: Path) -> None:
    """One flipped bit in what a training left is found as in a shipped file; the line says what to do."""
    source = checkpoint.WEIGHTS / "cnnf_fmnist_std_1.safetensors"
    path = tmp_path / "trained.safetensors"
    path.write_bytes(source.read_bytes())
    path.with_suffix(".json").write_bytes(source.with_suffix(".json").read_bytes())
    file = found_at(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    damaged = hashlib.sha256(content).hexdigest()

    assert file.card["sha256"] == file.sha256
    match = f"is {damaged[:12]}..., trained.json says {file.sha256[:12]}...; .* move the card away"
    with pytest.raises(CheckpointError, match=match):
        zoo.load("cnnf_fmnist_std_1", str(path))


@pytest.mark.parametrize(
    ("suffix", "beside"),
    [
        (".safetensors", None),
        (".safetensors", b'{"classes": ["shirt", "boot"]}'),
        (".safetensors", b'["shirt"]'),
        (".safetensors", b'{"sha256": null}'),
        (".safetensors", b'{"sha256": "0123'),
        (".safetensors", b"\xff\xfe"),
        (".pt", b'{"sha256": "0123"}'),
    ],
)
def test_json_that_is_no_card_of_a_path_breaks_nothing(
    suffix: str, beside: bytes | None, tmp_path: Path
) -> None:
    """Not everything of the same stem is a card with a hash, and a card is of a .safetensors file."""
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"weights")
    if beside is not None:
        path.with_suffix(".json").write_bytes(beside)

    assert found_at(path) == CheckpointFile(path, hashlib.sha256(b"weights").hexdigest(), {})


def test_unknown_names_list_what_is_known() -> None:
    """An unknown model or checkpoint name is answered with the names there are."""
    with pytest.raises(zoo.UnknownModelError, match=r"unknown model 'cnf'; known: .*cnnf_cifar"):
        zoo.load("cnf")
    with pytest.raises(CheckpointError, match=r"has no checkpoint 'best'.*known: shipped, official"):
        zoo.load("cnnf_cifar", checkpoint="best")


def test_git_blob_of_a_known_content() -> None:
    """`printf hello | git hash-object --stdin` prints this."""
    assert git_blob(b"hello") == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"


def test_downloads_are_verified_by_their_git_blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A downloaded file is used if it is the expected one; another is deleted and refused."""
    import pooch

    path = tmp_path / "CNN_fmnist.pt"

    def retrieve(url: str, known_hash: None, fname: str, path: Path) -> str:
        assert url == "https://example.org/CNN_fmnist.pt"
        return str(tmp_path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    path.write_bytes(b"hello")
    expected = Download("https://example.org/CNN_fmnist.pt", git_blob(b"hello"))
    assert checkpoint._fetch(expected) == path

    path.write_bytes(b"<html>quota</html>")
    with pytest.raises(CheckpointError, match="is not the expected file: git blob"):
        checkpoint._fetch(expected)
    assert not path.exists()


def test_locating_needs_no_torch() -> None:
    """A finished run is recognised without importing torch."""
    import subprocess
    import sys

    code = (
        "import sys, zoo; from zoo.checkpoint import locate; "
        "locate(zoo.ENTRIES['cnnf_fmnist'], 'shipped'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cards_are_json_with_the_files_hash() -> None:
    """Every shipped weight file has a card and an entry, and every card a file."""
    files = {path.stem for path in checkpoint.WEIGHTS.glob("*.safetensors")}
    cards = {path.stem for path in checkpoint.WEIGHTS.glob("*.json")}

    entries = [zoo.ENTRIES[name].checkpoints["shipped"] for name in SHIPPED]
    assert files == cards == {shipped.stem for shipped in entries if isinstance(shipped, Shipped)}
    for stem in files:
        path = checkpoint.WEIGHTS / f"{stem}.safetensors"
        card = json.loads(path.with_suffix(".json").read_text())
        assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
