"""From measures to findings: what goes wrong in a training, since when, in which layers, and what to try.

Each rule looks at one logged step and says what it sees, or None. It becomes a finding once it has held for
HOLD_READINGS logged steps in a row and HOLD_STEPS steps. Where no source is named, a threshold is lit_dl's own: set
between what the pathologies of ``conf/experiment`` show and what healthy runs of the same nets do.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from lit_dl.diagnostics.activations import Reading
from lit_dl.diagnostics.sight import Finding, Kind, Past, Sight

HOLD_READINGS = 3
HOLD_STEPS = 50  # or three steps in a row, where every step is logged, would be enough
JUDGE_STEPS = 10  # at least this far apart

VANISHING = 1e-3  # of the last layer's RMS gradient. He and ReLU reach 0.16 over 9 layers, sigmoid 1e-7
EXPLODING = 1e3  # total norm; 100 times the largest bound in use for clipping (10; Pascanu et al. 2013 clip at 1 to 10)
DEAD = 0.6  # of a layer's units. CS231n warns of 40 %, but the head of a CNN that reaches 0.99 on MNIST has 45 %
SATURATED = 0.5  # of a layer's outputs: the typical unit; what counts as saturated follows Glorot and Bengio (2010)
GOOD_RATIO = 1e-3  # of update to weight: "should be somewhere around 1e-3" (CS231n)
FAST = 100 * GOOD_RATIO
SLOW = GOOD_RATIO / 10
STALLED = GOOD_RATIO / 1000
FIRST_RATIO = 10 * GOOD_RATIO  # aimed at in the first step, where gradients are largest
RISES = 1.5  # times the first loss
NOT_LEARNT = 0.8  # of the first loss; below it something was learnt
HALF_LEARNT = 0.5
OSCILLATES = 2.0  # times the best mean loss before
PATIENCE = 100  # steps that a learning rate is given to show what it can do
GENERALIZATION_LOSS = 0.2  # of the validation loss above its minimum, Prechelt's (1998) measure; he stops at 0.01 to
# 0.05, but a part of 150 samples, as here, has a loss that is uncertain by more
FALLS = 0.8  # of the training loss at that minimum: it went on falling, and not by chance
STRIPS = 5  # validations in a row without a new minimum: UP_5 of Prechelt (1998)
PLATEAU = 0.02  # by which the training loss still falls from the second third of a training to the last
PLATEAU_EPOCHS = 9

SQUASHING = ("sigmoid", "tanh", "softmax", "softsign", "hardsigmoid", "hardtanh", "logsigmoid")

KEPT = ("held", "judged", "sights", "best", "waited", "epochs")  # of a verdict's own state, in a checkpoint

Seen = tuple[list[str], str, dict[str, Any], str]
"""Layers, message, evidence and advice of what a rule sees."""


def vanishing_gradients(now: Sight, past: Past) -> Seen | None:
    """A layer gets less than VANISHING of the last layer's RMS gradient, but some, and not because of dead units."""
    rms = now.known(now.rms)
    if len(rms) < 2 or any((each.dead or 0) >= 0.9 for each in now.activations) or past.learnt() < VANISHING:
        return None
    if _jumped(past):  # which saturates the units first
        return None
    last = max(rms)
    # A net that learns nothing settles where the last layer's gradient is small too: it is what it was at first.
    of_last = rms[last] if past.learnt() < NOT_LEARNT else max(rms[last], past.first_last_rms)
    small = {row: value for row, value in rms.items() if row != last and 0 < value < VANISHING * of_last}
    if not small:
        return None
    least = min(small, key=lambda row: small[row])
    share = rms[least] / of_last
    message = f"{now.layers[least]} gets 1/{1 / share:,.0f} of {now.layers[last]}'s RMS gradient"
    squashing = [each for each in now.activations if _kind(each) in SQUASHING]
    if squashing:
        message += f"; {len(squashing)} {_kind(squashing[0])} layers shrink it on its way"
    evidence = {
        "rms_gradient": rms[least],
        "rms_gradient_of_last_layer": of_last,
        "share": share,
        "threshold": VANISHING,
    }
    advice = "activation=relu init=he" if squashing or not now.activations else "init=he"
    return [now.layers[row] for row in small], message, evidence, advice


def exploding_gradients(now: Sight, past: Past) -> Seen | None:
    """The gradient's total norm is above EXPLODING and makes weights jump; a learning rate is not the cause."""
    if _starts_too_fast(past) or not (now.total > EXPLODING and now.fastest > FAST):
        return None
    return _exploding(now, past, now.total, now.fastest)


def _exploding(now: Sight, past: Past, total: float, ratio: float) -> Seen:
    ratios = now.known(now.ratio)
    row = max(ratios, key=lambda row: ratios[row])
    message = f"a gradient of norm {total:,.0f} changes weights by {_times(ratio)} of their size in a step"
    evidence = {"total_norm": total, "threshold": EXPLODING, "update_ratio": ratio, "update_ratio_threshold": FAST}
    return [now.layers[row]], message, evidence, _advice_on_explosion(now, past)


def _advice_on_explosion(now: Sight, past: Past) -> str:
    """Weights that were too large from the start want another init; a gradient that grew later wants clipping."""
    if past.first_total > EXPLODING:
        return "init=xavier" if any(_kind(each) in SQUASHING for each in now.activations) else "init=he"
    return "trainer.gradient_clip_val=1"


def dead_units(now: Sight, past: Past) -> Seen | None:
    """DEAD of a layer's units gave 0 for each of many samples."""
    dead = {each.name: each.long_dead for each in now.activations if (each.long_dead or 0) >= DEAD}
    if not dead:
        return None
    worst = max(dead, key=lambda name: dead[name] or 0)
    message = f"{dead[worst]:.0%} of {worst}'s units give 0 for every sample, so they get no gradient"
    advice = f"optimizer.lr={better_rate(past)}" if _starts_too_fast(past) else "activation=leaky_relu"
    return list(dead), message, {"dead": dead, "threshold": DEAD}, advice


def saturated_units(now: Sight, past: Past) -> Seen | None:
    """SATURATED of a layer's outputs lie where the activation is flat, from the start or while little is learnt."""
    if past.first_saturated < SATURATED and past.learnt() < HALF_LEARNT:
        return None
    flat = {each.name: each.saturated for each in now.activations if (each.saturated or 0) >= SATURATED}
    if not flat:
        return None
    worst = max(flat, key=lambda name: flat[name] or 0)
    message = f"{flat[worst]:.0%} of {worst}'s outputs lie where its slope is near 0"
    advice = "init=xavier" if past.first_saturated >= SATURATED else f"optimizer.lr={better_rate(past)}"
    return list(flat), message, {"saturated": flat, "threshold": SATURATED}, advice


def learning_rate_too_high(now: Sight, past: Past) -> Seen | None:
    """Updates are above FAST of the weights, and the loss rises or oscillates."""
    rises = _jumped(past) and past.steps >= PATIENCE
    oscillates = now.fastest >= FAST and past.latest_block >= OSCILLATES * past.best_block
    if not rises and not oscillates:
        return None
    ratio = past.first_ratio if rises else now.fastest
    if rises:
        how = (
            f"the loss rose from {past.first_loss:.3g} up to {past.largest_loss:.3g} and is at {past.latest_block:.3g}"
        )
    else:
        how = f"the mean loss is at {past.latest_block:.3g} after it had been at {past.best_block:.3g}"
    return [], *_too_fast(now, past, ratio, how)


def _too_fast(now: Sight, past: Past, ratio: float, how: str) -> tuple[str, dict[str, Any], str]:
    when = "the first step" if ratio == past.first_ratio else "a step"
    message = f"{when} changed weights by {_times(ratio)} of their size, and {how}"
    evidence = {"lr": now.lr, "update_ratio": ratio, "threshold": FAST, "first_loss": past.first_loss}
    return message, {**evidence, "largest_loss": past.largest_loss}, f"optimizer.lr={better_rate(past)}"


def learning_rate_too_low(now: Sight, past: Past) -> Seen | None:
    """All updates are below SLOW of the weights though there is a gradient, and the loss is far from learnt."""
    decayed = now.lr < 0.1 * past.highest_lr
    if decayed or past.steps_at_lr < PATIENCE or past.learnt() < HALF_LEARNT:
        return None
    if not now.fastest < SLOW or now.total < SLOW or past.highest_ratio >= FAST:  # or it is the gradient that is small
        return None
    return _too_low(now.fastest, SLOW, past)


def _too_low(ratio: float, threshold: float, past: Past) -> Seen:
    message = f"no layer changes by more than {ratio:.1g} of its weights in a step"
    if past.first_loss is not None:
        message += f"; the loss went from {past.first_loss:.3g} to {past.latest_block:.3g}"
    evidence = {"lr": past.highest_lr, "update_ratio": ratio, "threshold": threshold}
    return [], message, evidence, f"optimizer.lr={better_rate(past)}"


def stalled(now: Sight, past: Past) -> Seen | None:
    """Layers change by less than STALLED of their weights at an ordinary learning rate, and the loss is high."""
    others = (vanishing_gradients, dead_units, learning_rate_too_low)
    decayed = now.lr < 0.1 * past.highest_lr
    still = {row: ratio for row, ratio in now.known(now.ratio).items() if ratio < STALLED}
    if not still or decayed or _jumped(past) or past.learnt() < HALF_LEARNT:
        return None
    if any(rule(now, past) for rule in others):
        return None
    if past.steps_at_lr < PATIENCE and now.total >= SLOW and now.fastest < SLOW:  # that may be the learning rate
        return None
    names = [now.layers[row] for row in still]
    most, rms = max(still.values()), max(now.rms[row] or 0.0 for row in still)
    which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    move = "does not move" if len(names) == 1 else "do not move"
    message = f"{which} {move}: {most:.1g} of the weights in a step, from an RMS gradient of {rms:.1g}"
    evidence = {"update_ratio": most, "threshold": STALLED, "rms_gradient": rms}
    return names, message, evidence, "init=he"


RULES: Mapping[Kind, Callable[[Sight, Past], Seen | None]] = {
    "vanishing_gradients": vanishing_gradients,
    "exploding_gradients": exploding_gradients,
    "dead_units": dead_units,
    "saturated_units": saturated_units,
    "learning_rate_too_high": learning_rate_too_high,
    "learning_rate_too_low": learning_rate_too_low,
    "stalled": stalled,
}
"""What is looked for at logged steps."""


class Verdict:
    """Collects findings while a training goes on. Each kind is found once."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.past = Past()
        self._held: dict[str, tuple[int, int]] = {}  # by rule: the step since which it holds, and for how many sights
        self._judged = 0  # the step that was judged last
        self._sights = 0
        self._best: tuple[int, float, float] | None = None  # step, training and validation loss of the best validation
        self._waited = 0  # validations since then
        self._epochs: list[float] = []  # training losses
        self._last: Sight | None = None

    def see(self, sight: Sight) -> list[Finding]:
        """Take in a logged step; what has just become certain."""
        self.past.add(sight)
        self._last = sight
        if self._judged and sight.step - self._judged < JUDGE_STEPS:
            return []
        self._judged = sight.step
        self._sights += 1
        new = []
        for kind, rule in RULES.items():
            seen = None if self._knows(kind) else rule(sight, self.past)
            if seen is None:
                self._held.pop(kind, None)
                continue
            since, count = self._held.get(kind, (sight.step, 0))
            self._held[kind] = since, count + 1
            if count + 1 >= HOLD_READINGS and sight.step - since >= HOLD_STEPS:
                new.append(self._found(Finding(kind, since, *seen)))
        return new

    def see_divergence(
        self, step: int, layers: list[str], message: str, evidence: dict[str, Any], advice: str | None = None
    ) -> list[Finding]:
        """Take in that loss or gradient are not finite any more; with what it came from, where that is known.

        Args:
            advice: what to try, if it is known; None leaves it to the measures.
        """
        past, now = self.past, self._last
        new: list[Finding] = []
        if self._knows("diverged"):
            return new
        cause: Finding | None = None
        if (
            now is not None
            and past.highest_total > EXPLODING
            and past.highest_ratio > FAST
            and not _starts_too_fast(past)
        ):
            seen = _exploding(now, past, past.highest_total, past.highest_ratio)
            cause = Finding("exploding_gradients", now.step, *seen)
        elif now is not None and _starts_too_fast(past):
            seen = ([], *_too_fast(now, past, past.first_ratio, "the loss is not finite any more"))
            cause = Finding("learning_rate_too_high", 1, *seen)
        if advice is None and now is not None and not any(now.compared):
            advice = f"optimizer.lr={now.lr / 10:.0e}"  # no layers: it is the parameters themselves that went too far
        if advice is None:
            advice = cause.advice if cause else "trainer.gradient_clip_val=1" if now is not None else ""
        new.append(self._found(Finding("diverged", step, layers, message, evidence, advice)))
        if cause is not None and not self._knows(cause.kind):
            new.append(self._found(cause))
        return new

    def see_epoch(self, train_loss: float) -> None:
        """Take in the mean training loss of an epoch."""
        self._epochs.append(train_loss)

    def see_validation(self, step: int, train_loss: float, val_loss: float) -> list[Finding]:
        """Take in a validation, with the mean training loss since the one before; what has just become certain."""
        if not math.isfinite(val_loss) or not math.isfinite(train_loss):
            return []
        self._waited += 1
        if self._best is None or val_loss < self._best[2]:
            self._best, self._waited = (step, train_loss, val_loss), 0
        best_step, best_train, best_val = self._best
        learnt = self.past.first_loss is None or best_val < self.past.first_loss
        rises = learnt and val_loss > (1 + GENERALIZATION_LOSS) * best_val and train_loss < FALLS * best_train
        if not rises or self._waited < STRIPS or self._knows("overfitting"):
            return []
        message = (
            f"the validation loss rose from {best_val:.3g} to {val_loss:.3g}, while the training loss went on from "
            f"{best_train:.3g} to {train_loss:.3g}"
        )
        evidence = {
            "val_loss": val_loss,
            "best_val_loss": best_val,
            "train_loss": train_loss,
            "train_loss_at_best": best_train,
            "threshold": GENERALIZATION_LOSS,
            "validations_since_best": self._waited,
        }
        return [self._found(Finding("overfitting", best_step, [], message, evidence, "early_stopping=on"))]

    def conclude(self, step: int) -> list[Finding]:
        """What can be said only at the end of a training: ``underfitting``, or ``healthy`` where nothing was found."""
        new: list[Finding] = []
        if self._last is not None and not any(self._last.compared):  # no layers to judge by
            return new
        if (underfits := self._underfitting(step)) is not None:
            new.append(self._found(underfits))
        learnt = self.past.learnt()
        if not self.findings and self.is_long_enough and learnt >= NOT_LEARNT and self.past.highest_ratio < GOOD_RATIO:
            seen = _too_low(self.past.highest_ratio, GOOD_RATIO, self.past)
            new.append(self._found(Finding("learning_rate_too_low", 1, *seen)))
        if not self.findings and self.is_long_enough and learnt < NOT_LEARNT:
            message = f"gradients reach every layer that trains; the loss is at {learnt:.2g} of its first value"
            new.append(self._found(Finding("healthy", 1, [], message, {"loss_over_first_loss": learnt}, "")))
        return new

    @property
    def is_long_enough(self) -> bool:
        """Whether the training was long enough for a finding."""
        return self._sights >= HOLD_READINGS and self._judged > HOLD_STEPS

    def state(self) -> dict[str, Any]:
        """Primitives, from which ``load`` goes on."""
        own = {name: getattr(self, f"_{name}") for name in KEPT}
        return {**own, "past": asdict(self.past), "findings": [asdict(finding) for finding in self.findings]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.findings = [Finding(**each) for each in state["findings"]]
        self.past = Past(**state["past"])
        for name in KEPT:
            setattr(self, f"_{name}", state[name])

    def _knows(self, kind: str) -> bool:
        return any(finding.kind == kind for finding in self.findings)

    def _found(self, finding: Finding) -> Finding:
        self.findings.append(finding)
        return finding

    def _underfitting(self, step: int) -> Finding | None:
        """The training loss no longer falls but is far from learnt, and nothing else is wrong."""
        past, third = self.past, len(self._epochs) // 3
        others = [finding for finding in self.findings if finding.kind != "overfitting"]
        too_short = len(self._epochs) < PLATEAU_EPOCHS or step < PATIENCE or past.highest_ratio < GOOD_RATIO
        if others or too_short or not past.first_loss or self._knows("underfitting"):
            return None
        before, after = (sum(part) / third for part in (self._epochs[-2 * third : -third], self._epochs[-third:]))
        share = after / past.first_loss
        if not (before - after < PLATEAU * before and HALF_LEARNT < share < 1):
            return None
        message = f"the training loss stays at {after:.3g}, {share:.0%} of the first loss, and falls no more"
        evidence = {"train_loss": after, "train_loss_before": before, "first_loss": past.first_loss}
        has_activations = self._last is not None and len(self._last.activations) > 0
        advice = "model.hidden=[200,200]" if has_activations else "activation=relu"
        return Finding("underfitting", step, [], message, {**evidence, "threshold": HALF_LEARNT}, advice)


def _kind(reading: Reading) -> str:
    return reading.name.split("_")[1]


def _times(share: float) -> str:
    return f"{share:.0%}" if share < 10 else f"{share:,.3g} times"


def better_rate(past: Past) -> str:
    """The learning rate with which the first step would change the weights by FIRST_RATIO of their size.

    For SGD and Adam alike the first step is proportional to the rate. Rounded to 1, 2 or 5 times a power of ten.
    """
    if not (math.isfinite(past.first_ratio) and past.first_ratio > 0):
        return "1e-03"  # Adam's default, and small for SGD
    wanted = past.highest_lr * FIRST_RATIO / past.first_ratio
    power = 10.0 ** math.floor(math.log10(wanted))
    return f"{max(each for each in (1, 2, 5) if each * power <= wanted * (1 + 1e-9)) * power:.0e}"


def _starts_too_fast(past: Past) -> bool:
    """Whether the very first step was too long for a gradient of ordinary size."""
    return past.first_ratio >= FAST and past.first_total < EXPLODING


def _jumped(past: Past) -> bool:
    """Whether long first steps made the loss rise, and it has not come down since."""
    rose = past.first_loss is not None and past.largest_loss >= RISES * past.first_loss
    return rose and _starts_too_fast(past) and past.learnt() >= NOT_LEARNT
