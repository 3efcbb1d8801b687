"""From what the rules see to findings: what has held for long enough, what validation shows, what is left at the end.

A symptom becomes a finding once it has held for HOLD_OBSERVATIONS logged steps in a row and HOLD_STEPS steps.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lit_dl.diagnostics.observation import Observation, RunningStatistics
from lit_dl.diagnostics.rules import explosion, symptoms, too_fast, too_low
from lit_dl.diagnostics.symptom import EXPLODING, FAST, GOOD_RATIO, HALF_LEARNT, NOT_LEARNT, PATIENCE, starts_too_fast
from lit_dl.records import Advice, Finding, Kind

HOLD_OBSERVATIONS = 3
HOLD_STEPS = 50  # or three steps in a row, where every step is logged, would be enough
JUDGE_STEPS = 10  # at least this far apart

GENERALIZATION_LOSS = 0.2  # of the validation loss above its minimum, Prechelt's (1998) measure; he stops at 0.01 to
# 0.05, but a part of 150 samples, as here, has a loss that is uncertain by more
FALLS = 0.8  # of the training loss at that minimum: it went on falling, and not by chance
STRIPS = 5  # validations in a row without a new minimum: UP_5 of Prechelt (1998)
PLATEAU = 0.02  # by which the training loss still falls from the second third of a training to the last
PLATEAU_EPOCHS = 9


@dataclass
class Judgements:
    """What a diagnosis keeps between observations: primitives only, so that a checkpoint can hold it."""

    held: dict[str, tuple[int, int]] = field(default_factory=dict)  # by kind: since which step, and how many times
    judged: int = 0  # the step that was judged last
    observations: int = 0  # that were judged
    best: tuple[int, float, float] | None = None  # step, training and validation loss of the best validation
    waited: int = 0  # validations since then
    epochs: list[float] = field(default_factory=list)  # training losses


class Diagnosis:
    """Collects findings while a training goes on. Each kind is found once."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.stats = RunningStatistics()
        self._judgements = Judgements()
        self._last: Observation | None = None  # the newest; none before the first

    def see(self, now: Observation) -> list[Finding]:
        """Take in a logged step; what has just become certain."""
        self.stats.add(now)
        self._last = now
        memory = self._judgements
        if memory.judged and now.step - memory.judged < JUDGE_STEPS:
            return []
        memory.judged = now.step
        memory.observations += 1
        seen = {kind: symptom for kind, symptom in symptoms(now, self.stats).items() if not self._knows(kind)}
        memory.held = {
            kind: (since, count + 1) for kind in seen for since, count in [memory.held.get(kind, (now.step, 0))]
        }
        certain = [kind for kind in seen if self._is_certain(kind, now.step)]
        return [self._found(seen[kind].as_finding(kind, memory.held[kind][0])) for kind in certain]

    def see_divergence(
        self,
        step: int,
        layers: list[str],
        message: str,
        evidence: dict[str, Any],
        advice: tuple[Advice, ...] | None = None,
    ) -> list[Finding]:
        """Take in that loss or gradient are not finite any more; with what it came from, where that is known.

        Args:
            step: the first that is not finite.
            layers: where it was seen.
            message: what was seen, in words.
            evidence: what was seen, in numbers.
            advice: what to try, if it is known; None leaves it to the measures.
        """
        if self._knows("diverged"):
            return []
        cause = self._cause_of_divergence()
        if advice is None:
            advice = self._advice_on_divergence(cause)
        new = [self._found(Finding("diverged", step, layers, message, evidence, advice))]
        if cause is not None and not self._knows(cause.kind):
            new.append(self._found(cause))
        return new

    def see_epoch(self, train_loss: float) -> None:
        """Take in the mean training loss of an epoch."""
        self._judgements.epochs.append(train_loss)

    def see_validation(self, step: int, train_loss: float, val_loss: float) -> list[Finding]:
        """Take in a validation, with the mean training loss since the one before; what has just become certain."""
        if not math.isfinite(val_loss) or not math.isfinite(train_loss):
            return []
        memory = self._judgements
        memory.waited += 1
        if memory.best is None or val_loss < memory.best[2]:
            memory.best, memory.waited = (step, train_loss, val_loss), 0
        best_step, best_train, best_val = memory.best
        learnt = self.stats.first_loss is None or best_val < self.stats.first_loss
        rises = learnt and val_loss > (1 + GENERALIZATION_LOSS) * best_val and train_loss < FALLS * best_train
        if not rises or memory.waited < STRIPS or self._knows("overfitting"):
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
            "validations_since_best": memory.waited,
        }
        advice = (Advice("early_stopping", "on"),)
        return [self._found(Finding("overfitting", best_step, [], message, evidence, advice))]

    def conclude(self, step: int) -> list[Finding]:
        """What can be said only at the end of a training: ``underfitting``, or ``healthy`` where nothing was found."""
        new: list[Finding] = []
        if self._last is not None and not any(self._last.compared):  # no layers to judge by
            return new
        if (underfits := self._underfitting(step)) is not None:
            new.append(self._found(underfits))
        learnt, ratio = self.stats.learnt(), self.stats.highest_ratio
        if not self.findings and self.is_long_enough and learnt >= NOT_LEARNT and ratio < GOOD_RATIO:
            symptom = too_low(ratio, GOOD_RATIO, self.stats)
            new.append(self._found(symptom.as_finding("learning_rate_too_low", 1)))
        if not self.findings and self.is_long_enough and learnt < NOT_LEARNT:
            message = f"gradients reach every layer that trains; the loss is at {learnt:.2g} of its first value"
            new.append(self._found(Finding("healthy", 1, [], message, {"loss_over_first_loss": learnt})))
        return new

    @property
    def compares_layers(self) -> bool:
        """Whether there are layers to judge by, as far as is known; a point on a surface has none."""
        return self._last is None or not self._last.compared or any(self._last.compared)

    @property
    def diverged_at(self) -> int | None:
        """The step at which loss or gradient were found not to be finite."""
        return next((finding.since_step for finding in self.findings if finding.kind == "diverged"), None)

    @property
    def is_long_enough(self) -> bool:
        """Whether the training was long enough for a finding."""
        return self._judgements.observations >= HOLD_OBSERVATIONS and self._judgements.judged > HOLD_STEPS

    def state(self) -> dict[str, Any]:
        """Primitives, from which ``load`` goes on."""
        findings = [finding.as_json() for finding in self.findings]
        last = None if self._last is None else self._last.state()
        return {**asdict(self._judgements), "stats": asdict(self.stats), "findings": findings, "last": last}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave, also from that of 0.1.0, which had other names for two of its parts."""
        renamed = {"sights": "observations", "past": "stats"}
        given = {renamed.get(name, name): value for name, value in state.items()}
        self.findings = [Finding.from_json(each) for each in given.pop("findings")]
        self.stats = RunningStatistics(**given.pop("stats"))
        last = given.pop("last", None)
        self._last = None if last is None else Observation.load(last)
        self._judgements = Judgements(**given)

    def _knows(self, kind: Kind) -> bool:
        return any(finding.kind == kind for finding in self.findings)

    def _found(self, finding: Finding) -> Finding:
        self.findings.append(finding)
        return finding

    def _is_certain(self, kind: Kind, step: int) -> bool:
        since, count = self._judgements.held[kind]
        return count >= HOLD_OBSERVATIONS and step - since >= HOLD_STEPS

    def _cause_of_divergence(self) -> Finding | None:
        stats, now = self.stats, self._last
        if now is None:
            return None
        if starts_too_fast(stats):
            symptom = too_fast(now, stats, stats.first_ratio, "the loss is not finite any more")
            return symptom.as_finding("learning_rate_too_high", 1)
        if stats.highest_total > EXPLODING and stats.highest_ratio > FAST:
            symptom = explosion(now, stats, stats.highest_total, stats.highest_ratio)
            return symptom.as_finding("exploding_gradients", now.step)
        return None

    def _advice_on_divergence(self, cause: Finding | None) -> tuple[Advice, ...]:
        now = self._last
        if now is None:
            return ()
        if not any(now.compared):  # no layers: it is the parameters themselves that went too far
            return (Advice("lr", f"{now.lr / 10:.0e}"),)
        return cause.advice if cause is not None else (Advice("gradient_clip", "1"),)

    def _underfitting(self, step: int) -> Finding | None:
        """The training loss no longer falls but is far from learnt, and nothing else is wrong."""
        stats, epochs = self.stats, self._judgements.epochs
        third = len(epochs) // 3
        others = [finding for finding in self.findings if finding.kind != "overfitting"]
        too_short = len(epochs) < PLATEAU_EPOCHS or step < PATIENCE or stats.highest_ratio < GOOD_RATIO
        if others or too_short or not stats.first_loss or self._knows("underfitting"):
            return None
        before, after = (sum(part) / third for part in (epochs[-2 * third : -third], epochs[-third:]))
        share = after / stats.first_loss
        if not (before - after < PLATEAU * before and HALF_LEARNT < share < 1):
            return None
        message = f"the training loss stays at {after:.3g}, {share:.0%} of the first loss, and falls no more"
        evidence = {"train_loss": after, "train_loss_before": before, "first_loss": stats.first_loss}
        has_activations = self._last is not None and len(self._last.activations) > 0
        advice = Advice("hidden", "[200,200]") if has_activations else Advice("activation", "relu")
        return Finding("underfitting", step, [], message, {**evidence, "threshold": HALF_LEARNT}, (advice,))
