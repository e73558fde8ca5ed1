"""The restricted reader: real attack payloads run nothing and are named, real SMPL-like pickles are read."""

import io
import os
import pickle
import pickletools
import struct
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monobody.body.unpickle import read_nested, read_pickle
from monobody.errors import UserError


class Calls:
    """Pickles as a call of anything with any arguments."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def protocol0(module: str, name: str, argument: str) -> bytes:
    """The classical hand-written attack: push a name, call it with a string."""
    return f"c{module}\n{name}\n(S'{argument}'\ntR.".encode()


def getattr_chain(canary: Path) -> bytes:
    """Reach os.system through attributes of numpy's modules, in protocol 4's dotted names."""
    out = io.BytesIO()
    out.write(b"\x80\x04")
    for text in ("numpy.ctypeslib", "os.system"):
        out.write(b"\x8c" + struct.pack("<B", len(text)) + text.encode())
    command = f"touch {canary}".encode()
    out.write(b"\x93\x8c" + struct.pack("<B", len(command)) + command + b"\x85R.")
    return out.getvalue()


def attacks(canary: Path) -> dict[str, tuple[bytes, str]]:
    """Payloads by name, each with the name that the refusal must contain."""
    command, code = f"touch {canary}", f"open({str(canary)!r}, 'w').close()"
    array = np.zeros(3)
    return {
        "os.system": (pickle.dumps(Calls(os.system, command)), "posix.system"),
        "os.system inside a body": (pickle.dumps({"v_template": array, "x": Calls(os.system, command)}), "system"),
        "builtins.eval": (pickle.dumps(Calls(eval, code)), "builtins.eval"),
        "builtins.exec": (pickle.dumps(Calls(exec, code)), "builtins.exec"),
        "python 2 eval": (protocol0("__builtin__", "eval", code.replace("'", '"')), "__builtin__.eval"),
        "protocol 0": (protocol0("os", "system", command), "os.system"),
        "protocol 0 INST": (f"(S'{command}'\nios\nsystem\n.".encode(), "os.system"),
        "protocol 1 OBJ": (f"(cos\nsystem\nS'{command}'\no.".encode(), "os.system"),
        "nested reduce": (pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system")), "builtins."),
        "reduce as a dictionary key": (pickle.dumps({Calls(os.system, command): 1}), "system"),
        "setstate": (pickle.dumps(Calls(types.SimpleNamespace, state={"a": Calls(os.system, command)})), "Namespace"),
        "numpy object array": (pickle.dumps(np.array([Calls(os.system, command)], dtype=object)), "system"),
        "numpy's own evaluator": (protocol0("numpy.testing._private.utils", "runstring", code), "runstring"),
        "numpy.load": (protocol0("numpy", "load", "/etc/passwd"), "numpy.load"),
        "getattr chain through numpy": (getattr_chain(canary), "numpy.ctypeslib.os.system"),
        "numpy getattr": (protocol0("numpy", "ndarray.__class__", "x"), "ndarray.__class__"),
        "scipy loader": (protocol0("scipy.sparse", "load_npz", "x"), "scipy.sparse.load_npz"),
        "chumpy dotted": (protocol0("chumpy", "ch.os.system", command), "chumpy.ch.os.system"),
        "functools.partial": (protocol0("functools", "partial", "x"), "functools.partial"),
        "operator.attrgetter": (protocol0("operator", "attrgetter", "x"), "operator.attrgetter"),
    }


@pytest.mark.parametrize("name", sorted(attacks(Path("x"))))
def test_attacks_are_refused_by_name_and_run_nothing(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payload, culprit = attacks(canary)[name]
    file = tmp_path / "body.pkl"
    file.write_bytes(payload)
    with pytest.raises(UserError) as caught:
        read_pickle(file)
    assert culprit in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not canary.exists()


def test_the_payloads_are_real(tmp_path: Path) -> None:
    # The ordinary reader does run them, so the test above could fail.
    for name in ("os.system", "protocol 0", "numpy object array", "protocol 0 INST", "python 2 eval"):
        canary = tmp_path / name.replace(" ", "_")
        pickle.loads(attacks(canary)[name][0])
        assert canary.exists(), name


def test_state_cannot_change_what_later_files_meet(tmp_path: Path) -> None:
    # BUILD with a pair as state sets attributes on its target: here the class that stands for numpy's arrays.
    poison = b"cnumpy\nndarray\n(N}S'__setstate__'\nNstb."
    file = tmp_path / "body.pkl"
    file.write_bytes(poison)
    with pytest.raises(UserError):
        read_pickle(file)
    file.write_bytes(pickle.dumps({"a": np.arange(3.0)}))
    np.testing.assert_array_equal(read_pickle(file)["a"], np.arange(3.0))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ["<f8", ">f4", "<u4", "|u1", "|b1", "<i8", "<f2"])
def test_arrays_of_every_protocol(tmp_path: Path, protocol: int, kind: str) -> None:
    array = (np.arange(24).reshape(2, 3, 4) % 7).astype(kind)
    content = {"c": array, "fortran": np.asfortranarray(array), "strided": array[:, ::2], "scalar": array[1, 1, 1]}
    content |= {"text": "lbs", "none": None, "number": 3, "empty": array[:0]}
    file = tmp_path / "body.pkl"
    file.write_bytes(pickle.dumps(content, protocol=protocol))
    read = read_pickle(file)
    assert set(read) == set(content) - {"text", "none"}
    for name, value in read.items():
        np.testing.assert_array_equal(value, content[name])
        assert value.dtype.isnative


def test_python2_pickles(tmp_path: Path) -> None:
    # What Python 2's cPickle wrote with protocol 0: strings are bytes, builtins have their old names.
    values = np.array([1.5, -2.0, 300.25])
    raw = "".join(f"\\x{byte:02x}" for byte in values.tobytes())
    text = (
        "(dp0\nS'weights'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\n"
        "tp6\nRp7\n(I1\n(I3\ntp8\ncnumpy\ndtype\np9\n(S'f8'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\n"
        f"I0\ntp14\nbI00\nS'{raw}'\np15\ntp16\nbs."
    )
    file = tmp_path / "body.pkl"
    file.write_bytes(text.encode())
    np.testing.assert_array_equal(read_pickle(file)["weights"], values)


@pytest.mark.parametrize("layout", ["csr", "csc", "coo"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_sparse_matrices_become_dense(tmp_path: Path, layout: str, kind: str) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.where(np.random.default_rng(0).random((5, 9)) < 0.3, 1.25, 0.0)
    file = tmp_path / "body.pkl"
    file.write_bytes(pickle.dumps({"J_regressor": getattr(sparse, f"{layout}_{kind}")(dense)}, protocol=2))
    before = set(sys.modules)
    np.testing.assert_array_equal(read_pickle(file)["J_regressor"], dense)
    assert not {name for name in set(sys.modules) - before if name.startswith("scipy")}


@pytest.fixture
def chumpy() -> Iterator[types.ModuleType]:
    """A stand-in for the chumpy package, with classes that pickle as chumpy's do; gone again before reading."""
    package, core, reordering = (types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering"))
    core.Ch = type("Ch", (), {"__module__": "chumpy.ch", "__qualname__": "Ch"})
    reordering.Select = type("Select", (core.Ch,), {"__module__": "chumpy.reordering", "__qualname__": "Select"})
    package.ch, package.reordering = core, reordering
    sys.modules |= {module.__name__: module for module in (package, core, reordering)}
    yield package
    for name in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_chumpy_variables_become_their_values(tmp_path: Path, chumpy: types.ModuleType, protocol: int) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 10))
    variable = chumpy.ch.Ch()
    variable.x, variable._dirty_vars = values, set() if protocol == 4 else None
    selection = chumpy.reordering.Select()
    selection.a, selection.idxs, selection.preferred_shape = variable, np.arange(30) * 2, (3, 10)
    file = tmp_path / "body.pkl"
    file.write_bytes(pickle.dumps({"shapedirs": variable, "chosen": selection}, protocol=protocol))
    for name in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        del sys.modules[name]
    read = read_pickle(file)
    np.testing.assert_array_equal(read["shapedirs"], values)
    np.testing.assert_array_equal(read["chosen"], values.ravel()[np.arange(30) * 2].reshape(3, 10))


def test_damaged_pickles_are_one_sentence(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": np.arange(300.0), "b": [1, 2, {}]}, protocol=2)
    rng = np.random.default_rng(0)
    damaged = [b"", b"not a pickle", whole[:-1], whole[: len(whole) // 2], pickle.dumps([1, 2]), b"\x80\x02\x82\x01."]
    damaged.append(b"\x80\x02c__main__\nx\n.")
    for _ in range(300):
        broken = bytearray(whole)
        broken[rng.integers(len(whole))] = rng.integers(256)
        damaged.append(bytes(broken))
    file = tmp_path / "body.pkl"
    failures = 0
    for content in damaged:
        file.write_bytes(content)
        try:
            read_pickle(file)
        except UserError:  # Anything else fails the test.
            failures += 1
    assert failures >= 10


def test_small_files_cannot_take_all_memory(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # Not on Windows.
    file = tmp_path / "body.pkl"
    file.write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")  # Stores an empty dictionary under the number 2**31 - 1.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read_pickle(file) == {}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    doubled: list = [1.0]
    for _ in range(60):
        doubled = [doubled, doubled]
    file.write_bytes(pickle.dumps({"v_template": doubled, "numbers": [1, 2.5]}))
    read = read_pickle(file)
    assert list(read) == ["numbers"]
    np.testing.assert_array_equal(read["numbers"], [1, 2.5])


def test_an_array_must_have_the_data_of_its_shape(tmp_path: Path) -> None:
    payload = pickle.dumps({"a": np.arange(6.0)}, protocol=2)
    lying = payload.replace(b"K\x06\x85", b"K\x07\x85")
    assert lying != payload
    assert list(pickletools.genops(lying))
    file = tmp_path / "body.pkl"
    file.write_bytes(lying)
    with pytest.raises(UserError, match="more or less data"):
        read_pickle(file)


def test_a_sparse_matrix_must_stay_within_its_shape(tmp_path: Path) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(np.eye(4))
    matrix.indices[2] = 9
    file = tmp_path / "body.pkl"
    file.write_bytes(pickle.dumps({"J_regressor": matrix}))
    with pytest.raises(UserError, match="outside itself"):
        read_pickle(file)
    matrix = sparse.csr_matrix((10**6, 10**6))
    file.write_bytes(pickle.dumps({"J_regressor": matrix}))
    with pytest.raises(UserError, match="shape"):
        read_pickle(file)


def test_nested_values(tmp_path: Path) -> None:
    """What data sets pickle: lists of arrays, texts, dictionaries in dictionaries, keys of several parts."""
    content = {
        "poses": [np.arange(6.0).reshape(2, 3), np.zeros((0, 3))],
        "genders": ["m", "f"],
        ("S1", "54138969"): {"R": np.eye(3, dtype=np.float32), "w": 1000, "name": "camera1", "valid": True},
        "objects": np.array([{"a": np.ones(2)}, None], dtype=object),
        "cloth": [],
    }
    for protocol in (2, 4):
        path = tmp_path / f"{protocol}.pkl"
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        read = read_nested(path)
        assert read.keys() == content.keys()
        np.testing.assert_array_equal(read["poses"][0], content["poses"][0])
        assert read["genders"] == ["m", "f"]
        camera = read["S1", "54138969"]
        np.testing.assert_array_equal(camera.pop("R"), np.eye(3))
        assert camera == {"w": 1000, "name": "camera1", "valid": True}
        np.testing.assert_array_equal(read["objects"][0]["a"], [1, 1])
        assert read["objects"][1] is None


def test_the_pickle_inside_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "positions.npz"
    positions: Any = {"S1": {"Walking 1": np.arange(6.0).reshape(1, 2, 3)}}
    for save in (np.savez, np.savez_compressed):
        save(path, positions_3d=positions, numbers=np.arange(3))
        read = read_nested(path, "positions_3d.npy")
        np.testing.assert_array_equal(read["S1"]["Walking 1"], positions["S1"]["Walking 1"])
    with pytest.raises(UserError, match="array of numbers, not a pickle"):
        read_nested(path, "numbers.npy")
    for member in ("nothing.npy", "positions_3d.npy"):
        with pytest.raises(UserError, match=r"cannot be read as a data set.*download it again"):
            read_nested(path, member)
        path.write_bytes(path.read_bytes()[:400])


def test_attacks_on_nested_files_are_refused_too(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for payload, named in attacks(canary).values():
        path = tmp_path / "attack.pkl"
        path.write_bytes(payload)
        with pytest.raises(UserError) as caught:
            read_nested(path)
        assert named in str(caught.value)
        assert not canary.exists()


def test_nesting_cannot_take_all_memory(tmp_path: Path) -> None:
    path, inner = tmp_path / "bomb.pkl", ["x"] * 100
    for _ in range(5):
        inner = [inner] * 100  # A few hundred bytes that would unfold into 10^12 texts.
    path.write_bytes(pickle.dumps(inner))
    assert path.stat().st_size < 5000
    with pytest.raises(UserError, match="nests too many things"):
        read_nested(path)
    endless: list[Any] = []
    endless.append(endless)
    path.write_bytes(pickle.dumps(endless))
    with pytest.raises(UserError, match="nests too many things"):
        read_nested(path)
