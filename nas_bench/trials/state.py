"""What changes while a trial runs, and what of it a checkpoint holds."""

import math
from dataclasses import asdict, replace
from typing import Any

from torch.optim import Optimizer

from nas_bench.growth.input_grams import InputGrams, sites_on_data
from nas_bench.growth.sites import set_unit_slopes, unit_slopes
from nas_bench.training.data import Data
from nas_bench.training.new_rates import NewRates
from nas_bench.training.optimizers import optimizer
from nas_bench.training.order import DataOrder
from nas_bench.training.randomness import global_state, isolated, set_global_state, stream
from nas_bench.training.soundness import check_last_batch, check_widths
from nas_bench.training.task import Recipe
from nas_bench.trials.architecture import Architectures, Costs
from nas_bench.trials.first_network import first_network, growing_sites, network
from nas_bench.trials.spending import Spent
from nas_bench.trials.start import Start
from nas_bench.trials.trigger import Growth, Look, Progress


class State:
    """A network in training: its optimiser, its randomness and what it has used so far.

    Attributes:
        model: the network; optimizer: of its parameters; per_entry: whether Adam counts steps of
            entries.
        sites: of the network, in its order.
        costs: of the network at its present size; batch_size: at this size.
        order: of the training samples; feed: of training steps, in this order.
        growth: source of all that growth draws; augmentation: of all that augmentation draws.
        grams: of the data, where sites read it as it is.
        redraws: of the first network, because it was dead.
        spent: of the budget.
        progress: looks and growths so far.
        new_rates: learning rates of what growth adds, None where they are those of all else.
        decay_start: share of the budget that was spent when the recipe's decay began.
        evaluated: the last points of the dense and of the full grid that records stand for.
        begun: whether the first record was made.
    """

    def __init__(self, start: Start, data: Data) -> None:
        task, seed, train = start.task, start.config.seed, data.train
        self.task, self.device, self.samples = task, start.device, len(train)
        self.recipe: Recipe = replace(task.recipe, **start.config.recipe)
        self.loss = task.loss.to(start.device)
        self.model, self.redraws = first_network(start, data)
        self.per_entry = start.config.optimizer_policy == "per_entry"
        self.optimizer = self._optimizer()
        self.order = DataOrder(self.samples, stream(seed, "data order"), train.order_device)
        self.feed = train.feed(self.order, f"{seed}/sample")
        self.growth = stream(seed, "growth")
        self.augmentation = stream(seed, "augmentation")
        self.spent = Spent()
        self.sites = growing_sites(task, self.model, train)
        check_widths(self.widths, start.widths)
        few = train.first(2).inputs
        self.architectures = Architectures(task, few)
        self.grams = InputGrams(sites_on_data(self.model, self.sites, few))
        self.fit_to_size()
        check_last_batch(self.model, train, self.batch_size)
        self.progress = Progress((), ())
        rule, steps = start.config.schedule.new_rate, start.config.schedule.warmup_steps
        self.new_rates = None if rule == "same" else NewRates(rule, steps, self.model)
        self.decay_start = 0.0
        self.evaluated, self.begun = (0, 0), False

    @property
    def widths(self) -> tuple[int, ...]:
        """Hidden widths at present, in network order."""
        return tuple(site.width(self.model) for site in self.sites)

    @property
    def epoch(self) -> float:
        """Passes over the training split so far."""
        return self.spent.samples / self.samples

    def fit_to_size(self) -> None:
        """Costs, and where the recipe says so the batch size (D.2), of the present widths."""
        self.costs = self.architectures.costs(self.widths)
        self.batch_size = self.batch_size_of(self.costs)

    def batch_size_of(self, costs: Costs) -> int:
        """That of a network with these costs."""
        if not self.recipe.batch_growth:
            return self.recipe.batch_size
        seed = self.architectures.costs(self.task.seed_widths)
        return round(self.recipe.batch_size * math.sqrt(costs.flops / seed.flops))

    def _optimizer(self) -> Optimizer:
        return optimizer(self.recipe, self.model.parameters(), per_entry=self.per_entry)

    def values(self) -> dict[str, Any]:
        """Everything that decides how the trial goes on, as tensors and plain values."""
        return {
            "widths": list(self.widths),
            "unit_slopes": unit_slopes(self.model),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "order": self.order.state(),
            "growth": self.growth.get_state(),
            "augmentation": self.augmentation.get_state(),
            "generators": global_state(),
            "spent": asdict(self.spent),
            "looks": [asdict(look) for look in self.progress.looks],
            "growths": [asdict(growth) for growth in self.progress.growths],
            "new_rates": self.new_rates.kept if self.new_rates else {},
            "decay_start": self.decay_start,
            "evaluated": list(self.evaluated),
            "redraws": self.redraws,
            "grams": self.grams.made,
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Go on, bit for bit, from where `values` was asked."""
        with isolated(0):
            self.model = network(self.task, values["widths"], self.device)
        set_unit_slopes(self.model, values["unit_slopes"])
        kept = {name: value.clone() for name, value in values["model"].items()}
        self.model.load_state_dict(kept, assign=True)  # with their order in memory
        self.model.to(self.device)
        self.optimizer = self._optimizer()
        self.optimizer.load_state_dict(values["optimizer"])
        self.order.restore(values["order"])
        self.growth.set_state(values["growth"])
        self.augmentation.set_state(values["augmentation"])
        self.spent = Spent(**values["spent"])
        looks = tuple(Look(**look) for look in values["looks"])
        self.progress = Progress(looks, tuple(Growth(**growth) for growth in values["growths"]))
        if self.new_rates:
            self.new_rates.kept = values["new_rates"]
        self.decay_start = values["decay_start"]
        self.evaluated = (values["evaluated"][0], values["evaluated"][1])
        self.redraws = values["redraws"]
        self.grams = InputGrams(self.grams.sites, values["grams"])
        self.begun = True
        self.fit_to_size()
        set_global_state(values["generators"])
