"""
===========================
Reading a CSV file for skbn
===========================

:doc:`quickstart` uses this file. pandas reads the CSV file, and scikit-learn prepares its columns:
gaps in numbers get the median and a column that marks them, categories become columns of 0 and 1.
Dates, identifiers, row numbers and free text are left out, and ``notes`` names them. A fitted
pipeline takes three lines::

    table = load_table("houses.csv", "price")
    model = make_pipeline(table.columns, MLPWithBatchNormRegressor())
    model.fit(table.X, table.y)
"""

import csv
import difflib
import gzip
import re
import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
GAPS = ["?", "-", "."]  # beside the words that pandas takes for gaps: NA, NaN, null, ...
FEW = 20  # a column of more different values may be an identifier or a badly written number
HUGE = 1e30  # the network computes in float32
NUMBER_STEPS = [
    "table[numbers] = table[numbers].apply(pd.to_numeric, errors='coerce').astype(float)",
    f"table[numbers] = table[numbers].where(table[numbers].abs() <= {HUGE!r})",
]
MANY_CLASSES = 100  # more whole numbers than these are hardly classes
MAX_CATEGORIES = 50  # columns of 0 and 1 per category column; the rarest categories share one

DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})([ T].*)?"
    r"|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[ap]m)?"
    r"|(?=.*\d).*\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b.*\d.*",
    re.IGNORECASE,
)
DECIMAL_COMMA = re.compile(r"[-+]?\d+(,\d+)?")
NUMBER_AS_TEXT = re.compile(
    r"[-+(]?\s*([$€£¥]|USD|EUR|GBP|CHF)?\s*[-+]?(\d{1,3}([., '\u00a0\u202f]\d{3})+([.,]\d+)?"
    r"|\d+([.,]\d+)?)\s*([%$€£¥)kKmM]|USD|EUR|GBP|CHF)?"
)
IDENTIFIER = re.compile(r"(?i:(.*[\W_])?(p?id|uuid|guid|key))|.*[a-z](ID|Id)", re.DOTALL)


class BadInput(Exception):
    """What is wrong with the input, in one line."""


@dataclass
class Table:
    """Features and target of a file, and the findings about them."""

    X: object  # DataFrame (n_samples, n_features)
    y: np.ndarray  # (n_samples,)
    task: str  # "classification" or "regression"
    columns: ColumnTransformer  # makes an array of numbers of X; not fitted
    notes: list  # lines for the reader
    options: dict  # of pandas.read_csv, for this file
    steps: list  # lines of code that clean the names, the texts and the target of ``table``
    number_steps: list  # lines of code that clean the columns ``numbers`` of ``table``


def load_table(path, target, task=None, drop=(), rows=None):
    """Read a CSV file.

    Parameters
    ----------
    path : str
        The file; its separator, encoding and decimal mark are found out.
    target : str
        The column to predict. Rows without a target are left out.
    task : {"classification", "regression"}, optional
        By default, a target of fractions, or of more than 20 different floats, is a number.
        Any other target holds classes; more than 100 whole numbers are refused.
    drop : sequence of str
        Columns to leave out.
    rows : int, optional
        Take a random sample of so many rows.

    Returns
    -------
    Table

    Raises
    ------
    BadInput
        If the file cannot be read, or lacks a column that is named.
    """
    frame, how, options = read_csv(path)
    steps = []
    if options.pop("strips_names"):
        steps.append("table.columns = table.columns.str.strip()")
    check_names(path, frame, [target, *drop])
    if target in drop:
        raise BadInput(f"--drop names the target {target!r}")
    if len(frame) == 0:
        raise BadInput(f"{path} has a header and no rows")
    y = frame.pop(target)
    frame = frame.drop(columns=list(drop))
    if frame.shape[1] == 0:
        raise BadInput(f"{path} has no column beside the target {target!r}")
    X, columns, notes, padded, number_steps = sort_columns(frame, path)
    for name in padded:
        steps.append(f"table[{name!r}] = table[{name!r}].str.strip().replace('', None)")
    has_target = known_targets(y)
    steps += target_steps(y, has_target)
    y, task = read_target(y[has_target], task)
    if how:
        notes.insert(0, f"read with {how}")
    if lost := int((~has_target).sum()):
        notes.append(f"{lost} row(s) without a value of {target!r} are left out")
    X = X[has_target.to_numpy()]
    if rows is not None and rows < len(y):
        notes.append(f"a random sample of {rows} of {len(y)} rows")
        chosen = np.sort(np.random.default_rng(0).permutation(len(y))[:rows])
        X, y = X.iloc[chosen], y[chosen]
    X = X.reset_index(drop=True)
    return Table(X, y, task, columns, notes, options, steps, number_steps)


def check_names(path, frame, names):
    """Refuse names that the file does not have, and propose one that it has."""
    unknown = [name for name in dict.fromkeys(names) if name not in frame.columns]
    if not unknown:
        return
    lower = {str(name).lower(): name for name in frame.columns}
    close = [
        lower[near]
        for name in unknown
        for near in difflib.get_close_matches(name.lower(), lower, n=1)
    ]
    if all(re.fullmatch(r"[-+.\d]+", str(name)) for name in frame.columns):
        hint = f"a header is missing: the first line is {shortened(frame.columns, 10)}"
    elif close:
        hint = f"did you mean {', '.join(map(repr, close))}?"
    else:
        hint = f"it has {shortened(frame.columns, 10)}"
    raise BadInput(f"{path} has no column {', '.join(map(repr, unknown))}; {hint}")


# The file ----------------------------------------------------------------------------------


def read_csv(path):
    """The file as a DataFrame, its peculiarities in words, and the options to read it."""
    try:
        import pandas as pd
    except ImportError as error:
        raise BadInput("CSV files need pandas: pip install pandas") from error
    try:
        with (gzip.open if str(path).endswith(".gz") else open)(path, "rb") as file:
            head = file.read(65536)
        encoding = find_encoding(head, path)
        separator = find_separator(head.decode(encoding, errors="replace"))
        options = {"sep": separator, "na_values": GAPS, "skipinitialspace": True}
        options |= {"low_memory": False, "index_col": False}
        with warnings.catch_warnings():
            # Rows longer than the header would be cut, or shift the columns.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            try:
                frame = pd.read_csv(path, encoding=encoding, **options)
            except UnicodeDecodeError:
                encoding = "cp1252"
                options["encoding_errors"] = "replace"
                frame = pd.read_csv(path, encoding=encoding, **options)
            decimal_comma = separator != "," and any(
                is_text(column) and ("," in "".join(some(column)))
                and matching(column, DECIMAL_COMMA)
                for _, column in frame.items()
            )  # fmt: skip
            if decimal_comma:
                options["decimal"] = ","
                frame = pd.read_csv(path, encoding=encoding, **options)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    except pd.errors.ParserWarning as error:
        raise BadInput(f"cannot read {path}: rows have more fields than the header") from error
    except ValueError as error:  # empty, not text, rows of different lengths
        raise BadInput(f"cannot read {path}: {last_line(error)}") from error
    names = [str(name).strip() for name in frame.columns]
    strips_names = len(set(names)) == len(names) and names != list(frame.columns)
    if strips_names:
        frame.columns = names
    how = [] if separator == "," else [f"separator {SEPARATORS[separator]}"]
    how += ["decimal comma"] if decimal_comma else []
    how += [] if encoding == "utf-8-sig" else [f"encoding {encoding}"]
    del options["index_col"]  # matters for rows that are longer than the header, refused above
    if separator == ",":
        del options["sep"]
    if encoding != "utf-8-sig":  # pandas reads UTF-8 by default, with or without a mark
        options["encoding"] = encoding
    return frame, ", ".join(how), options | {"strips_names": strips_names}


def find_encoding(head, path):
    """UTF-8, which pandas will check, or UTF-16, with or without its mark."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > 0.4 * len(head[1::2]) and even == 0:
        return "utf-16-le"
    if even > 0.4 * len(head[::2]) and odd == 0:
        return "utf-16-be"
    if b"\0" in head:
        raise BadInput(f"cannot read {path}: it is not text; save a spreadsheet as CSV first")
    return "utf-8-sig"


def find_separator(text):
    """The separator that gives the header several fields, and most rows as many."""
    lines = [line for line in text.splitlines()[:51] if line.strip()]

    def merit(separator):
        lengths = [len(fields) for fields in csv.reader(lines, delimiter=separator)]
        alike = np.mean([length == lengths[0] for length in lengths])
        return lengths[0] > 1, alike, lengths[0]

    return max(SEPARATORS, key=merit) if lines else ","


# The columns -------------------------------------------------------------------------------


def sort_columns(frame, path):
    """Numbers and categories of a table, the ColumnTransformer for them, and notes.

    Beside these, the names of categories with blanks around them, and lines of code for numbers
    that pandas.read_csv does not read as such.
    """
    numbers, categories, left_out, gaps, odd, padded = {}, {}, {}, [], [], []
    number_steps = []
    for name, values in frame.items():
        column, words = tidied(values)
        reason = reason_to_leave_out(name, column)
        if reason:
            left_out.setdefault(reason, []).append(name)
            continue
        if words:
            odd.append(f"{name} ({words})")
        if column.isna().any():
            gaps.append(f"{name} ({column.isna().sum()})")
        if is_text(column) or is_identifier(name, column):
            # Objects, since the missing value of strings differs among versions of pandas.
            texts = column.map(str, na_action="ignore").astype(object)
            categories[name] = texts.where(column.notna(), np.nan)
            if is_padded(values):
                padded.append(name)
        else:
            numbers[name] = column.astype(float)
            if words or is_text(values):
                number_steps = NUMBER_STEPS
    parts = [f"{shortened(map(repr, names), 6)} ({reason})" for reason, names in left_out.items()]
    if not numbers and not categories:
        raise BadInput(f"{path} has no column that can be used: {'; '.join(parts)}")
    notes = [f"left out: {'; '.join(parts)}"] if parts else []
    if gaps:
        notes.append(f"gaps are filled and marked: {shortened(gaps, 6)}")
    if odd:
        notes.append(f"counted as gaps among numbers: {shortened(odd, 6)}")
    if categories:
        kinds = {"numbers": numbers, "categories": categories}
        found = [f"{len(names)} of {kind}" for kind, names in kinds.items() if names]
        notes.insert(0, f"columns: {', '.join(found)}")
    columns = make_column_transformer(
        (
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            list(numbers),
        ),
        (
            OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                min_frequency=5,
                max_categories=MAX_CATEGORIES,
                sparse_output=False,
            ),
            list(categories),
        ),
    )
    return type(frame)(numbers | categories), columns, notes, padded, number_steps


def tidied(column):
    """The column with odd values as gaps, and these values in words."""
    import pandas as pd

    words = ""
    if is_text(column):
        column = column.map(str, na_action="ignore").str.strip().replace("", None)
        read = pd.to_numeric(column, errors="coerce")
        no_numbers = column[read.isna() & column.notna()]
        if read.nunique() <= FEW or len(no_numbers) > 0.1 * column.notna().sum():
            return column, ""
        column, words = read, shortened(sorted(map(repr, no_numbers.unique())), 3)
    if pd.api.types.is_float_dtype(column) and (column.abs() > HUGE).any():
        column, words = column.mask(column.abs() > HUGE), words or f"infinite, or above {HUGE:g}"
    return column, words


def reason_to_leave_out(name, column):
    """Why a column is of no use, or None."""
    n_different, n_values = column.nunique(), column.notna().sum()
    if n_values == 0:
        return "no values"
    if column.nunique(dropna=False) == 1:
        return "one value only"
    if str(name) == "Unnamed: 0" or is_row_number(column):
        return "row numbers"
    if not is_text(column):
        return "identifiers" if is_identifier(name, column) and n_different > 50 else None
    if matching(column, DATE):
        return "dates and times"
    if n_different <= FEW:
        return None
    if matching(column, NUMBER_AS_TEXT):
        return f"numbers written as {some(column)[0]!r}"
    if np.mean([len(text.split()) for text in some(column)]) >= 4:
        return "free text"
    return "identifiers" if n_different > n_values / 2 else None


def is_text(column):
    import pandas as pd

    return not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def is_padded(column):
    """Whether texts have blanks around them."""
    return is_text(column) and any(text != text.strip() for text in map(str, column.dropna()))


def is_identifier(name, column):
    """Whether whole numbers are names rather than quantities."""
    if is_text(column) or column.dtype == bool or not IDENTIFIER.fullmatch(str(name)):
        return False
    return bool((column.dropna() % 1 == 0).all())


def is_row_number(column):
    """Whether a column counts the rows from 0 or 1."""
    if is_text(column) or len(column) < 10 or column.isna().any():
        return False
    return any((column.to_numpy() == np.arange(len(column)) + start).all() for start in (0, 1))


def some(column):
    """At most 200 different values, as strings."""
    return [str(value) for value in column.dropna().unique()[:200]]


def matching(column, pattern):
    """Whether nearly all values of a column have the form of a pattern."""
    values = some(column)
    return sum(bool(pattern.fullmatch(value)) for value in values) >= 0.95 * max(len(values), 1)


# The target --------------------------------------------------------------------------------


def known_targets(y):
    """Which rows have a target that is neither missing nor infinite."""
    import pandas as pd

    return y.notna() & ~np.isinf(y) if pd.api.types.is_float_dtype(y) else y.notna()


def target_steps(y, known):
    """Lines of code that leave the rows of ``table`` whose target is known, as it is read."""
    target, values = f"table[{y.name!r}]", y[known]
    if y.isna().any():
        yield f"table = table[{target}.notna()]"
    if (y.notna() & ~known).any():
        yield f"table = table[{target}.abs() < float('inf')]"
    if is_text(values) and not all(isinstance(value, str) for value in values):
        yield f"{target} = {target}.astype(str)"
    if is_padded(values):
        yield f"{target} = {target}.str.strip()"


def read_target(y, task=None):
    """The target as an array, and the task that it makes."""
    import pandas as pd

    name = y.name
    if len(y) == 0:
        raise BadInput(f"the target {name!r} has no values")
    written = is_text(y) and y.nunique() > FEW and matching(y, NUMBER_AS_TEXT)
    if written and task != "classification":
        odd = y[pd.to_numeric(y, errors="coerce").isna()].unique()
        raise BadInput(
            f"the target {name!r} has numbers that are not written plainly:"
            f" {shortened(map(repr, map(str, odd)), 3)}"
        )
    is_float = pd.api.types.is_float_dtype(y)
    has_fractions = is_float and (y % 1 != 0).any()
    if task is None:
        many = is_float and y.nunique() > 20
        task = "regression" if has_fractions or many else "classification"
        if not is_text(y) and task == "classification" and y.nunique() > MANY_CLASSES:
            raise BadInput(
                f"the target {name!r} has {y.nunique()} different whole numbers;"
                " say --task regression, or --task classification"
            )
    if task == "regression" and is_text(y):
        words = y[pd.to_numeric(y, errors="coerce").isna()].unique()
        raise BadInput(
            f"the target {name!r} is not numeric, which a regression needs;"
            f" it has {shortened(map(repr, map(str, words)), 3)}"
        )
    if task == "classification" and has_fractions:
        raise BadInput(f"the target {name!r} has fractions, which are no classes")
    if task == "regression":
        return y.to_numpy(dtype=float), task
    if is_text(y):
        return y.map(lambda value: str(value).strip()).to_numpy(dtype=object), task
    return y.to_numpy(), task


def shortened(names, most):
    """The first names of a list, and that there are more."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" * (len(names) > most))


def last_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
