"""The rules: what goes wrong in a training, seen at one logged step.

Each has its threshold, its source and its advice in one block. Where no source is named, a threshold is lit_dl's own:
set between what the pathologies of ``conf/experiment`` show and what healthy runs of the same nets do. A new rule is a
function here, and its line in RULES near the end.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lit_dl.diagnostics.observation import Observation, RunningStatistics
from lit_dl.diagnostics.symptom import (
    EXPLODING,
    FAST,
    GOOD_RATIO,
    HALF_LEARNT,
    NOT_LEARNT,
    PATIENCE,
    SLOW,
    SQUASHING,
    Symptom,
    better_rate,
    has_decayed,
    jumped,
    kind_of_activation,
    starts_too_fast,
    times,
)
from lit_dl.records import Advice, Kind

VANISHING = 1e-3  # of the last layer's RMS gradient. He and ReLU reach 0.16 over 9 layers, sigmoid 1e-7


def vanishing_gradients(now: Observation, stats: RunningStatistics) -> Symptom | None:
    """A layer gets less than VANISHING of the last layer's RMS gradient, but some, and not because of dead units."""
    rms = now.known(now.rms)
    if len(rms) < 2 or any((each.dead or 0) >= 0.9 for each in now.activations) or stats.learnt() < VANISHING:
        return None
    if jumped(stats):  # which saturates the units first
        return None
    last = max(rms)
    # A net that learns nothing settles where the last layer's gradient is small too: it is what it was at first.
    of_last = rms[last] if stats.learnt() < NOT_LEARNT else max(rms[last], stats.first_last_rms)
    small = {row: value for row, value in rms.items() if row != last and 0 < value < VANISHING * of_last}
    if not small:
        return None
    least = min(small, key=lambda row: small[row])
    share = rms[least] / of_last
    message = f"{now.layers[least]} gets 1/{1 / share:,.0f} of {now.layers[last]}'s RMS gradient"
    squashing = [each for each in now.activations if kind_of_activation(each) in SQUASHING]
    if squashing:
        message += f"; {len(squashing)} {kind_of_activation(squashing[0])} layers shrink it on its way"
    evidence = {"rms_gradient": rms[least], "rms_gradient_of_last_layer": of_last, "share": share}
    evidence["threshold"] = VANISHING
    relu = (Advice("activation", "relu"),) if squashing or not now.activations else ()
    return Symptom([now.layers[row] for row in small], message, evidence, (*relu, Advice("init", "he")))


def exploding_gradients(now: Observation, stats: RunningStatistics) -> Symptom | None:
    """The gradient's total norm is above EXPLODING and makes weights jump; a learning rate is not the cause."""
    if starts_too_fast(stats) or not (now.total > EXPLODING and now.fastest > FAST):
        return None
    return explosion(now, stats, now.total, now.fastest)


def explosion(now: Observation, stats: RunningStatistics, total: float, ratio: float) -> Symptom:
    """What is said of a gradient of norm ``total`` that changed weights by ``ratio`` of their size."""
    ratios = now.known(now.ratio)
    row = max(ratios, key=lambda row: ratios[row])
    message = f"a gradient of norm {total:,.0f} changes weights by {times(ratio)} of their size in a step"
    evidence = {"total_norm": total, "threshold": EXPLODING, "update_ratio": ratio, "update_ratio_threshold": FAST}
    return Symptom([now.layers[row]], message, evidence, (_advice_on_explosion(now, stats),))


def _advice_on_explosion(now: Observation, stats: RunningStatistics) -> Advice:
    """Weights that were too large from the start want another init; a gradient that grew later wants clipping."""
    if stats.first_total > EXPLODING:
        squashing = any(kind_of_activation(each) in SQUASHING for each in now.activations)
        return Advice("init", "xavier" if squashing else "he")
    return Advice("gradient_clip", "1")


DEAD = 0.6  # of a layer's units. CS231n warns of 40 %, but the head of a CNN that reaches 0.99 on MNIST has 45 %


def dead_units(now: Observation, stats: RunningStatistics) -> Symptom | None:
    """DEAD of a layer's units gave 0 for each of many samples."""
    dead = {each.name: each.long_dead for each in now.activations if (each.long_dead or 0) >= DEAD}
    if not dead:
        return None
    worst = max(dead, key=lambda name: dead[name] or 0)
    message = f"{dead[worst]:.0%} of {worst}'s units give 0 for every sample, so they get no gradient"
    advice = better_rate(stats) if starts_too_fast(stats) else Advice("activation", "leaky_relu")
    return Symptom(list(dead), message, {"dead": dead, "threshold": DEAD}, (advice,))


SATURATED = 0.5  # of a layer's outputs: the typical unit; what counts as saturated follows Glorot and Bengio (2010)


def saturated_units(now: Observation, stats: RunningStatistics) -> Symptom | None:
    """SATURATED of a layer's outputs lie where the activation is flat, from the start or while little is learnt."""
    if stats.first_saturated < SATURATED and stats.learnt() < HALF_LEARNT:
        return None
    flat = {each.name: each.saturated for each in now.activations if (each.saturated or 0) >= SATURATED}
    if not flat:
        return None
    worst = max(flat, key=lambda name: flat[name] or 0)
    message = f"{flat[worst]:.0%} of {worst}'s outputs lie where its slope is near 0"
    advice = Advice("init", "xavier") if stats.first_saturated >= SATURATED else better_rate(stats)
    return Symptom(list(flat), message, {"saturated": flat, "threshold": SATURATED}, (advice,))


OSCILLATES = 2.0  # times the best mean loss before


def learning_rate_too_high(now: Observation, stats: RunningStatistics) -> Symptom | None:
    """Updates are above FAST of the weights, and the loss rises or oscillates."""
    rises = jumped(stats) and stats.steps >= PATIENCE
    oscillates = now.fastest >= FAST and stats.latest_block >= OSCILLATES * stats.best_block
    if not rises and not oscillates:
        return None
    if rises:
        how = (
            f"the loss rose from {stats.first_loss:.3g} up to {stats.largest_loss:.3g} and is at "
            f"{stats.latest_block:.3g}"
        )
    else:
        how = f"the mean loss is at {stats.latest_block:.3g} after it had been at {stats.best_block:.3g}"
    return too_fast(now, stats, stats.first_ratio if rises else now.fastest, how)


def too_fast(now: Observation, stats: RunningStatistics, ratio: float, how: str) -> Symptom:
    """What is said of a step that changed weights by ``ratio`` of their size, and of what came of it."""
    when = "the first step" if ratio == stats.first_ratio else "a step"
    message = f"{when} changed weights by {times(ratio)} of their size, and {how}"
    evidence = {"lr": now.lr, "update_ratio": ratio, "threshold": FAST, "first_loss": stats.first_loss}
    return Symptom([], message, {**evidence, "largest_loss": stats.largest_loss}, (better_rate(stats),))


def learning_rate_too_low(now: Observation, stats: RunningStatistics) -> Symptom | None:
    """All updates are below SLOW of the weights though there is a gradient, and the loss is far from learnt."""
    if has_decayed(now, stats) or stats.steps_at_lr < PATIENCE or stats.learnt() < HALF_LEARNT:
        return None
    if not now.fastest < SLOW or now.total < SLOW or stats.highest_ratio >= FAST:  # or the gradient is what is small
        return None
    return too_low(now.fastest, SLOW, stats)


def too_low(ratio: float, threshold: float, stats: RunningStatistics) -> Symptom:
    """What is said where no layer changes by more than ``ratio`` of its weights."""
    message = f"no layer changes by more than {ratio:.1g} of its weights in a step"
    if stats.first_loss is not None:
        message += f"; the loss went from {stats.first_loss:.3g} to {stats.latest_block:.3g}"
    evidence = {"lr": stats.highest_lr, "update_ratio": ratio, "threshold": threshold}
    return Symptom([], message, evidence, (better_rate(stats),))


STALLED = GOOD_RATIO / 1000


def stalled(now: Observation, stats: RunningStatistics) -> Symptom | None:
    """Layers change by less than STALLED of their weights at an ordinary learning rate, and the loss is high."""
    still = {row: ratio for row, ratio in now.known(now.ratio).items() if ratio < STALLED}
    if not still or has_decayed(now, stats) or jumped(stats) or stats.learnt() < HALF_LEARNT:
        return None
    if stats.steps_at_lr < PATIENCE and now.total >= SLOW and now.fastest < SLOW:  # that may be the learning rate
        return None
    names = [now.layers[row] for row in still]
    most, rms = max(still.values()), max(now.rms[row] or 0.0 for row in still)
    which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    move = "does not move" if len(names) == 1 else "do not move"
    message = f"{which} {move}: {most:.1g} of the weights in a step, from an RMS gradient of {rms:.1g}"
    evidence = {"update_ratio": most, "threshold": STALLED, "rms_gradient": rms}
    return Symptom(names, message, evidence, (Advice("init", "he"),))


class Rule(NamedTuple):
    """A rule, and the kinds whose symptoms explain its own, so that it says nothing beside them."""

    see: Callable[[Observation, RunningStatistics], Symptom | None]
    unless: tuple[Kind, ...] = ()


RULES: Mapping[Kind, Rule] = {
    "vanishing_gradients": Rule(vanishing_gradients),
    "exploding_gradients": Rule(exploding_gradients),
    "dead_units": Rule(dead_units),
    "saturated_units": Rule(saturated_units),
    "learning_rate_too_high": Rule(learning_rate_too_high),
    "learning_rate_too_low": Rule(learning_rate_too_low),
    "stalled": Rule(stalled, unless=("vanishing_gradients", "dead_units", "learning_rate_too_low")),
}
"""What is looked for at logged steps."""


def symptoms(now: Observation, stats: RunningStatistics) -> dict[Kind, Symptom]:
    """What is to be seen at a logged step, by kind."""
    seen = {kind: symptom for kind, rule in RULES.items() if (symptom := rule.see(now, stats)) is not None}
    return {kind: symptom for kind, symptom in seen.items() if not set(RULES[kind].unless) & set(seen)}
