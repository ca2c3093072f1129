"""Sequences from a list of arrays, and from a long table of pandas or polars."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbn import RNNWithBatchNormClassifier
from skbn.sequences import from_long_frame, padded

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


def random_arrays(lengths, n_features, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, n_features)).astype(dtype) for n in lengths]


def long_table(arrays, ids, seed=0):
    """The columns of a long table of these sequences, its rows in a random order."""
    lengths = [len(one) for one in arrays]
    time = np.concatenate([np.cumsum(1 + np.arange(n) % 3) for n in lengths])
    values = np.concatenate(arrays)
    shuffled = np.random.default_rng(seed).permutation(len(time))
    table = {"who": np.repeat(np.asarray(ids, object), lengths)[shuffled].tolist()}
    table |= {"when": time[shuffled]}
    return table | {f"x{j}": column[shuffled] for j, column in enumerate(values.T)}


lengths_of_some = st.lists(st.integers(1, 7), min_size=1, max_size=9)


@settings(deadline=None, max_examples=50)
@given(lengths_of_some, st.integers(1, 3), st.sampled_from([np.float32, np.float64]))
def test_padded_keeps_every_number(lengths, n_features, dtype):
    arrays = random_arrays(lengths, n_features, dtype)
    X = padded(arrays)
    assert X.shape == (len(lengths), max(lengths), n_features)
    assert X.dtype == dtype
    for row, one in zip(X, arrays, strict=True):
        np.testing.assert_array_equal(row[: len(one)], one)
        assert np.isnan(row[len(one) :]).all()


@settings(deadline=None, max_examples=50)
@given(lengths_of_some, st.integers(1, 3), st.integers(0, 99), st.sampled_from(sorted(FRAMES)))
def test_long_table_and_list_are_the_same_sequences(lengths, n_features, seed, kind):
    arrays = random_arrays(lengths, n_features)
    names = [f"id{number:02}" for number in np.random.default_rng(seed).permutation(len(lengths))]
    X, ids = from_long_frame(FRAMES[kind](long_table(arrays, names, seed)), "who", "when")
    assert ids.tolist() == sorted(names)
    np.testing.assert_array_equal(X, padded([arrays[names.index(name)] for name in ids]))


@pytest.mark.parametrize("kind", FRAMES)
def test_ids_are_the_groups_of_pandas(kind):
    table = long_table(random_arrays([3, 1, 4, 2], 2), [7, -1, 30, 4])
    X, ids = from_long_frame(FRAMES[kind](table), "who", "when")
    groups = pd.DataFrame(table).sort_values("when").groupby("who")
    np.testing.assert_array_equal(ids, list(groups.groups))
    assert ids.dtype == np.int64
    for row, (_, group) in zip(X, groups, strict=True):
        np.testing.assert_array_equal(row[: len(group)], group[["x0", "x1"]])


def test_padded_takes_what_people_have():
    expected = padded([np.array([[1.0], [2.0]]), np.array([[3.0]])])
    assert expected.shape == (2, 2, 1)
    for sequences in (
        [[1, 2], [3]],
        ([1, 2], np.array([3], np.int8)),
        iter([np.array([1.0, 2.0]), [[3]]]),
        [pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})],
        [pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [3]})],
        [pd.Series([1, 2], index=[5, 6]), pl.Series([3])],
        {"first": [1, 2], "second": [3]}.values(),
    ):
        X = padded(sequences)
        assert X.dtype == np.float64
        np.testing.assert_array_equal(X, expected)


def test_padded_copies_and_does_not_write():
    one = np.ones((2, 1))
    X = padded([one])
    X[:] = 5.0
    np.testing.assert_array_equal(one, 1.0)


def test_dtype_of_sequences_that_differ():
    arrays = random_arrays([2, 3], 2, np.float32)
    assert padded(arrays).dtype == np.float32
    assert padded([arrays[0], arrays[1].astype(np.float64)]).dtype == np.float64
    assert padded([arrays[0], arrays[1].astype(np.float16)]).dtype == np.float64
    table = long_table(arrays, ["a", "b"])
    assert from_long_frame(pd.DataFrame(table), "who", "when")[0].dtype == np.float32
    table["x0"] = table["x0"].astype(np.float64)
    assert from_long_frame(pd.DataFrame(table), "who", "when")[0].dtype == np.float64


def test_frames_of_mixed_columns():
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": [True, False], "c": pd.array([1, None], "Int64")})
    assert frame.to_numpy().dtype == object
    np.testing.assert_array_equal(padded([frame])[0], [[1.5, 1.0, 1.0], [2.5, 0.0, np.nan]])


def test_gaps_inside_stay():
    X = padded([[[np.nan, np.nan], [1.0, np.nan]], [[1.0, 2.0]]])
    np.testing.assert_array_equal(X[0], [[np.nan, np.nan], [1.0, np.nan]])
    frame = pd.DataFrame({"who": [1, 1, 2], "when": [1, 2, 1], "a": [np.nan, 1.0, 2.0]})
    X, _ = from_long_frame(frame, "who", "when")
    np.testing.assert_array_equal(X[:, :, 0], [[np.nan, 1.0], [2.0, np.nan]])


def test_a_step_with_one_value_is_a_step():
    last = [[1.0, 2.0], [np.nan, 3.0]]
    np.testing.assert_array_equal(padded([last])[0], last)
    frame = pd.DataFrame({"who": [1, 1], "when": [1, 2], "a": [1.0, np.nan], "b": [2.0, 3.0]})
    np.testing.assert_array_equal(from_long_frame(frame, "who", "when")[0][0], last)


@pytest.mark.parametrize(
    ("sequences", "match"),
    [
        ([], "no sequence"),
        ([np.ones((2, 3)), np.ones((4, 2))], "Sequence 1 has 2 features, but sequence 0 has 3"),
        ([np.ones((2, 3)), np.ones(3)], "Sequence 1 has 1 features"),
        ([np.ones((2, 3)), np.ones((0, 3))], r"Sequence 1 has the shape \(0, 3\)"),
        ([[]], "no step"),
        ([np.ones((2, 0))], "no feature"),
        ([pd.DataFrame(index=[0, 1])], "no feature"),
        ([[1.0, np.nan]], "Sequence 0 ends with NaN"),
        ([np.ones((2, 2)), [[1.0, 2.0], [np.nan, np.nan]]], "Sequence 1 ends with NaN"),
        ([["1", "2"]], "Sequence 0 does not hold numbers"),
        ([np.array([1.0, None], object)], r"does not hold numbers \(its type: object\)"),
        ([np.ones(2, complex)], "does not hold numbers"),
        ([np.array(["2020-01-01"], "datetime64[s]")], "does not hold numbers"),
        ([[[1.0, 2.0], [3.0]]], "Sequence 0 is no array"),
        ([1.0, 2.0], "Sequence 0 has 0 dimensions"),
        ([np.ones((1, 2, 3))], "Sequence 0 has 3 dimensions"),
        ([np.ma.masked_array([1.0, 2.0], [True, False])], "masked"),
        (pd.DataFrame({"a": [1.0]}), "from_long_frame"),
        (pl.DataFrame({"a": [1.0]}), "from_long_frame"),
        ([pd.DataFrame({"a": [1.0], "name": ["x"]})], r"Sequence 0: Columns \['name'\]"),
        ([pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])], "same name"),
    ],
)
def test_padded_refuses(sequences, match):
    with pytest.raises(ValueError, match=match):
        padded(sequences)


@pytest.mark.parametrize("dtype", ["boolean", "Int64", "UInt8", "Float32"])
def test_missing_values_of_nullable_columns(dtype):
    frame = frame_of(a=pd.array([None, 1, 0], dtype))
    X, _ = from_long_frame(frame, "who", "when")
    np.testing.assert_array_equal(X, [[[np.nan], [1.0]], [[0.0], [np.nan]]])
    np.testing.assert_array_equal(padded([frame[["a"]]]), [[[np.nan], [1.0], [0.0]]])


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_have_the_columns_of_the_first(kind):
    first, other = {"a": [1.0], "b": [2.0]}, {"b": [2.0], "a": [1.0]}
    with pytest.raises(ValueError, match=r"Sequence 2 has the columns \['b', 'a'\].*\['a', 'b'\]"):
        padded([FRAMES[kind](first), np.ones((1, 2)), FRAMES[kind](other)])
    with pytest.raises(ValueError, match=r"Sequence 1 has the columns \['b', 'c'\]"):
        padded([FRAMES[kind](first), FRAMES[kind]({"b": [2.0], "c": [1.0]})])


def test_columns_in_the_order_that_is_asked_for():
    table = pd.DataFrame({"b": [1.0], "who": ["x"], "a": [2.0], "when": [0], "name": ["text"]})
    X, _ = from_long_frame(table, "who", "when", columns=["a", "b"])
    np.testing.assert_array_equal(X, [[[2.0, 1.0]]])
    X, _ = from_long_frame(table, "who", "when", columns="b")
    np.testing.assert_array_equal(X, [[[1.0]]])
    X, _ = from_long_frame(table.rename(columns={"b": 3}), "who", "when", columns=3)
    np.testing.assert_array_equal(X, [[[1.0]]])
    X, _ = from_long_frame(table.drop(columns="name"), "who", "when")
    np.testing.assert_array_equal(X, [[[1.0, 2.0]]])


day = datetime.datetime(2024, 1, 1)


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    "times",
    [
        [2, 10, -1],
        [2.5, 10.0, -1.0],
        [day + datetime.timedelta(days=days) for days in (2, 10, -1)],
        [datetime.timedelta(days=days) for days in (2, 10, -1)],
    ],
)
def test_times_of_many_types(kind, times):
    frame = FRAMES[kind]({"who": ["x"] * 3, "when": times, "a": [2.0, 10.0, -1.0]})
    X, _ = from_long_frame(frame, "who", "when")
    np.testing.assert_array_equal(X[0, :, 0], [-1.0, 2.0, 10.0])


def test_times_of_a_time_zone():
    # In the order of the hours of the clock, the first two would be the other way round.
    when = pd.to_datetime(["2024-10-27 00:50", "2024-10-27 01:10", "2024-10-26 12:00"], utc=True)
    frame = pd.DataFrame({"who": 1, "when": when.tz_convert("Europe/Berlin"), "a": [2, 3, 1]})
    assert frame["when"].iloc[0].hour == frame["when"].iloc[1].hour
    assert from_long_frame(frame, "who", "when")[0][0, :, 0].tolist() == [1.0, 2.0, 3.0]
    assert from_long_frame(pl.from_pandas(frame), "who", "when")[0].ravel().tolist() == [1, 2, 3]


def test_ids_of_a_time_zone_are_in_utc():
    who = pd.to_datetime(["2024-01-02", "2024-01-01"]).tz_localize("Europe/Berlin")
    _, ids = from_long_frame(pd.DataFrame({"who": who, "when": 0, "a": 1.0}), "who", "when")
    expected = np.array(["2023-12-31T23", "2024-01-01T23"], "datetime64[s]")
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize(
    "dtype",
    [
        "datetime64[s, UTC]",
        "datetime64[us, Europe/Berlin]",
        "timestamp[us, tz=UTC][pyarrow]",
        "timestamp[s][pyarrow]",
        "date32[pyarrow]",
        "datetime64[s]",
    ],
)
def test_times_beyond_the_range_of_nanoseconds(dtype):
    # Tables often write "no end" as the year 9999.
    when = pd.Series(np.array(["9999-12-31", "2024-01-01", "2262-06-01"], "datetime64[s]"))
    when = when.dt.tz_localize("UTC").astype(dtype) if "," in dtype else when.astype(dtype)
    frame = pd.DataFrame({"who": 1, "when": when, "a": [3.0, 1.0, 2.0]})
    assert from_long_frame(frame, "who", "when")[0].ravel().tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("dtype", ["Int64", "int8", "category", "string", "datetime64[ns]"])
def test_ids_of_many_types(dtype):
    who = pd.Series([20, 3, 20]).astype(dtype)
    X, ids = from_long_frame(
        pd.DataFrame({"who": who, "when": [2, 1, 1], "a": [1.0, 2.0, 3.0]}), "who", "when"
    )
    assert len(ids) == 2
    first = np.argmax(X[:, 0, 0] == 2.0)
    assert ids[first] == np.asarray(who)[1]
    np.testing.assert_array_equal(X[1 - first, :, 0], [3.0, 1.0])


def frame_of(**changes):
    table = {"who": ["x", "x", "y"], "when": [1, 2, 1], "a": [1.0, 2.0, 3.0]} | changes
    return pd.DataFrame(table)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (frame_of().rename(columns={"who": "id"}), r"no column \['who'\]"),
        (frame_of()[["who", "when"]], "no column beside"),
        (frame_of()[:0], "no row"),
        (frame_of(when=[1, 1, 1]), r"1 row\(s\) have the id .* who=x, when=1"),
        (frame_of(when=[1.0, np.nan, 1.0]), "missing in column 'when'"),
        (frame_of(when=pd.array([1, None, 1], "Int64")), "missing in column 'when'"),
        (frame_of(when=pd.to_datetime(["2024", None, "2024"])), "missing in column 'when'"),
        (frame_of(when=["10", "9", "1"]), "neither numbers nor dates"),
        (frame_of(who=["x", None, "y"]), "missing in column 'who'"),
        (frame_of(who=[1.0, np.nan, 2.0]), "missing in column 'who'"),
        (frame_of(who=pd.array([1, None, 2], "Int64")), "missing in column 'who'"),
        (frame_of(who=pd.array(["x", None, "y"], "string")), "missing in column 'who'"),
        (frame_of(who=pd.to_datetime(["2024", None, "2023"])), "missing in column 'who'"),
        (frame_of(who=pd.Series([1, "x", 1], dtype=object)), "have no order"),
        (frame_of(b=["u", "v", "w"], c=[1, 2, 3], d=["u"] * 3), r"Columns \['b', 'd'\] do not"),
        (frame_of(a=[1.0, np.nan, 3.0]), r"last row of 1 id\(s\), the first of them x"),
        (pd.concat([frame_of(), frame_of()["a"]], axis=1), r"Columns \['a'\] are there twice"),
        (frame_of(who=[[1], [1], [2]]), r"column 'who' have no order: unhashable type: 'list'"),
        (frame_of(a=pd.Series([1.0, 2.0, 3.0], dtype=object)), r"\['a'\] .*types: object"),
        (np.ones((2, 3)), "no pandas or polars DataFrame"),
        (pl.DataFrame({"who": [1], "when": [1], "a": [1.0]}).lazy(), "but a LazyFrame"),
        (pa.table({"who": [1], "when": [1], "a": [1.0]}), "but a pyarrow.Table|but a Table"),
    ],
)
def test_long_table_refuses(frame, match):
    with pytest.raises(ValueError, match=match):
        from_long_frame(frame, "who", "when")


@pytest.mark.parametrize(
    ("who", "columns", "match"),
    [
        ("when", None, r"\['when'\] are there twice, or are named twice"),
        ("who", ["a", "a"], r"\['a'\]"),
        ("who", ["who", "a"], r"\['who'\]"),
        ("who", ["q", "a"], r"no column \['q'\]"),
        ("who", [], "no column beside"),
    ],
)
def test_long_table_refuses_arguments(who, columns, match):
    with pytest.raises(ValueError, match=match):
        from_long_frame(frame_of(), who, "when", columns=columns)


def test_polars_missing_values():
    table = {"who": ["x", "x"], "when": [1, 2], "a": [None, 2]}
    X, _ = from_long_frame(pl.DataFrame(table), "who", "when")
    np.testing.assert_array_equal(X[0, :, 0], [np.nan, 2.0])
    for name in ("who", "when"):
        broken = pl.DataFrame(table).with_columns(
            pl.when(pl.col("a").is_null()).then(None).otherwise(pl.col(name)).alias(name)
        )
        with pytest.raises(ValueError, match=f"missing in column '{name}'"):
            from_long_frame(broken, "who", "when")


def test_both_forms_are_fitted_alike():
    # The class is the sign of the slope, which no single step shows.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    starts = 10.0 * rng.standard_normal(80)
    arrays = [
        start + (2 * label - 1) * np.arange(n)[:, np.newaxis] + 0.1 * rng.standard_normal((n, 2))
        for label, start, n in zip(labels, starts, rng.integers(4, 12, 80), strict=True)
    ]
    names = [f"id{number}" for number in rng.permutation(80)]
    y = pd.Series(labels, index=names)
    X, ids = from_long_frame(pd.DataFrame(long_table(arrays, names)), "who", "when")
    clf = RNNWithBatchNormClassifier((8,), max_iter=40, random_state=0).fit(X[:60], y[ids][:60])
    assert clf.score(X[60:], y[ids][60:]) > 0.9
    of_list = padded([arrays[names.index(name)] for name in ids])
    again = RNNWithBatchNormClassifier((8,), max_iter=40, random_state=0)
    again.fit(of_list[:60], y[ids][:60])
    np.testing.assert_array_equal(clf.predict_proba(X), again.predict_proba(of_list))


@pytest.mark.parametrize("method", ["fit", "predict"])
def test_error_about_unequal_arrays_names_the_way_out(method):
    arrays = random_arrays([3, 4] * 10, 2)
    y = np.arange(20) % 2
    clf = RNNWithBatchNormClassifier((2,), max_iter=1).fit(padded(arrays), y)
    with pytest.raises(ValueError, match=r"skbn\.sequences\.padded\(X\)"):
        clf.fit(arrays, y) if method == "fit" else clf.predict(arrays)
