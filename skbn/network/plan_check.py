"""The check of a plan: kernels follow its offsets and its codes without any check.

One of two functions makes every plan from a few numbers. So the check reads these numbers from a
plan, makes the plan again, and compares. If a part of the plan was changed, the two plans differ,
or the changed plan is another complete plan.
"""

import numpy as np

from skbn.kernels.activations import ACTIVATIONS
from skbn.kernels.cells import CELLS
from skbn.kernels.pooling import POOLINGS
from skbn.network import plan as plans
from skbn.network.operations.registry import KINDS, PARTS
from skbn.network.recurrent_plan import recurrent

MOST_UNITS = np.iinfo(np.intc).max


def check_plan(plan):
    """Refuse an array that is not a plan.

    Parameters
    ----------
    plan : ndarray of shape (n,), dtype `OPERATION`

    Raises
    ------
    ValueError
        The message says what is wrong.
    """
    if len(plan) == 0:
        raise ValueError("the plan of the network is damaged: it has no operation")
    unknown = ~np.isin(plan["kind"], list(KINDS.values()))
    if unknown.any():
        raise ValueError(
            f"the plan of the network is damaged: operation {np.argmax(unknown)} has the unknown "
            f"kind {plan['kind'][unknown][0]}"
        )
    is_recurrent = (plan["kind"] == plans.RECURRENT).any()
    try:
        made = _made_recurrent(plan) if is_recurrent else _made_feed_forward(plan)
    except (IndexError, KeyError, OverflowError, StopIteration) as error:
        raise ValueError(
            f"the plan of the network is damaged: it does not say what it was made of ({error!r})"
        ) from None
    if len(made) != len(plan):
        raise ValueError(
            f"the plan of the network is damaged: it has {len(plan)} operations instead of "
            f"{len(made)}"
        )
    if (plan == made).all():
        return
    position = int(np.argmax(plan != made))
    name = next(n for n in plan.dtype.names if plan[n][position] != made[n][position])
    raise ValueError(
        f"the plan of the network is damaged: {name} of operation {position} is "
        f"{plan[name][position]} instead of {made[name][position]}"
    )


def _units(values):
    values = [int(value) for value in values]
    for value in values:
        if value < 1:
            raise ValueError(f"the plan of the network is damaged: a layer has {value} units")
        if value > MOST_UNITS:
            raise ValueError(f"{value} units, which are more than BLAS can count")
    return values


def _name(codes, code, what):
    for name, known in codes.items():
        if known == code:
            return name
    raise ValueError(f"the plan of the network is damaged: the code {code} of {what} is unknown")


def _numbers(norms, rates):
    """Epsilon, momentum and the rate of dropout as keywords, from the operations that hold them."""
    numbers = {"epsilon": 1e-5, "momentum": 0.1, "dropout": 0.0}
    if len(norms):
        numbers["epsilon"], numbers["momentum"] = map(float, norms[0])
    if len(rates):
        numbers["dropout"] = float(rates[0])
    ranges = {"epsilon": np.inf, "momentum": 1.0, "dropout": np.nextafter(1.0, 0.0)}
    for name, value in numbers.items():
        if not 0.0 <= value <= ranges[name] or value == np.inf:
            raise ValueError(f"the plan of the network is damaged: {name} is {value}")
    return numbers


def _made_feed_forward(plan):
    activations = plan["activation"][plan["kind"] == plans.ACTIVATION]
    activation = "identity"
    if len(activations):
        activation = _name(ACTIVATIONS, activations[0], "an activation")
    return plans.feed_forward(
        _units(plans.layer_units_of(plan)),
        activation,
        plans.placement_of(plan),
        # Every operation but the inputs has them, whether it uses them or not.
        **_numbers(plan[["epsilon", "momentum"]][1:], plan["rate"][1:]),
        scaled=plans.is_scaled(plan),
        embedded=_embedded(plan),
    )


def _embedded(plan):
    """The runs of embedded columns: inside the inputs, in order, and not touching each other."""
    runs = plans.embedded_of(plan)
    end = -1
    for start, n in runs:
        if start <= end or n < 1:
            raise ValueError(
                f"the plan of the network is damaged: {n} embedded columns from column {start} on, "
                f"behind column {end}"
            )
        end = start + n
    if end > plan["n_out"][0]:
        raise ValueError(
            f"the plan of the network is damaged: column {end - 1} is embedded, but there are "
            f"{plan['n_out'][0]}"
        )
    return runs


def _made_recurrent(plan):
    layers = plan[(plan["kind"] == plans.RECURRENT) & (plan["direction"] == 0)]
    parts = {name: plan[plan["part"] == code] for name, code in PARTS.items()}
    n_directions = int(layers["n_directions"][0])
    if n_directions not in (1, 2):
        raise ValueError(
            f"the plan of the network is damaged: a layer has {n_directions} directions"
        )
    inputs, states = parts["input_norm"], parts["recurrent_norm"]
    norms = plan[plan["kind"] == plans.BATCH_NORM]
    numbers = _numbers(
        (norms if len(norms) else parts["input_map"])[["epsilon", "momentum"]],
        plan["rate"][plan["kind"] == plans.DROPOUT],
    )
    if (plan["kind"] == plans.DROPOUT).any() and numbers["dropout"] == 0.0:
        raise ValueError("the plan of the network is damaged: its dropout has no rate")
    steps = states if len(states) else inputs
    units = parts["recurrent_map"]["n_in"][::n_directions]
    return recurrent(
        _units([layers["n_in"][0], *units, plan["n_out"][-1]]),
        _name(CELLS, layers["cell"][0], "a cell"),
        "full" if len(states) else "input" if len(inputs) else None,
        _units([steps["n_steps"][0] if len(steps) else 1])[0],
        bidirectional=n_directions == 2,
        pooling=_name(POOLINGS, plan["pooling"][plan["kind"] == plans.POOLING][0], "a pooling"),
        shared=bool(len(inputs) and inputs["shared"][0]),
        **numbers,
    )
