"""A checksum of the plain values in a state: it finds a file that has changed by accident.

The files of three formats must give the same checksum: pickle, joblib and skops. So equal values
count as equal: a list and a tuple, an integer of Python and an integer of NumPy, an array in memory
and an array that is mapped from a file.

The rule is a part of the state format. Another rule needs another format.
"""

from array import array
from numbers import Integral
from zlib import crc32

import numpy as np

# Arrays of these kinds are their bytes. Other arrays hold objects of Python.
BYTES = "biufcmMSUV"

# Types whose text is their ``repr``.
PLAIN = {int, float, bool, type(None), str}


def checksum(state):
    """The CRC-32 of a state, without its own entry ``"_checksum"``.

    Parameters
    ----------
    state : dict
        Keys are names. Arrays, numbers, strings, None, and lists, tuples and dictionaries of these
        count. Of any other object only the presence counts. Of an inner state with a checksum, the
        checksum counts.

    Returns
    -------
    crc : int
    """
    texts, buffers = [], []
    for name in sorted(state.keys() - {"_checksum"}):
        texts.append(name)
        _collect(state[name], texts, buffers)
    crc = crc32("\n".join(texts).encode(errors="surrogatepass"))
    for buffer in buffers:
        crc = crc32(buffer, crc)
    return crc


def _collect(value, texts, buffers):
    """Append the texts and the buffers that stand for a value."""
    kind = type(value)
    if kind in PLAIN:
        texts.append(repr(value))
    elif isinstance(value, np.ndarray):
        values = np.asarray(value)
        if values.dtype.kind in BYTES and not values.dtype.hasobject:
            texts.append(f"array {values.dtype.str} {values.shape}")
            buffers.append(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
        else:
            _collect(values.tolist(), texts, buffers)
    elif isinstance(value, dict) and "_checksum" in value:
        texts.append(f"state {value['_checksum']}")
    elif isinstance(value, dict):
        texts.append(f"dict {len(value)}")
        for key, part in value.items():
            _collect(key, texts, buffers)
            _collect(part, texts, buffers)
    elif isinstance(value, (list, tuple)):
        texts.append(f"list {len(value)}")
        if set(map(type, value)) == {float}:  # curves, which may be long
            buffers.append(array("d", value))
        else:
            for part in value:
                _collect(part, texts, buffers)
    else:
        texts.append(_text(value))


def _text(value):
    # A subclass of a number or of a string, which other file formats do not keep, or an object.
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, Integral):
        return repr(int(value))
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, str):
        return str.__repr__(value)
    return "object"
