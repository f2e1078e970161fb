"""Scenes of training loops that hooks could hurt: checkpoints, scalers, closures, several optimizers, transforms."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

from tests.laws.bits import Run, adam, deep, momentum, plainly, scene


@scene
def recomputed(run: Run) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.4), nn.ReLU()) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            x = checkpoint(self.a, self.c(x), use_reentrant=True) if self.training else self.a(x)
            return checkpoint(self.b, x, use_reentrant=False)

    plainly(run, Net(), lambda: torch.rand(4, 6))


@scene
def recomputed_whole(run: Run) -> None:
    """The model itself is what is checkpointed."""
    net, x = deep(), torch.rand(4, 6, requires_grad=True)
    optimizer = momentum(net)
    run.watch(net, optimizer)
    for step in range(6):
        run.step(optimizer, checkpoint(net, x, use_reentrant=step % 2 == 0).square().mean())


@scene
def scaled(run: Run) -> None:
    """Mixed precision with overflows, with a fused optimizer and one that is not."""
    for fused in (False, True):
        net, x = deep(), torch.rand(8, 6)
        optimizer = AdamW(net.parameters(), lr=0.01, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=3)
        run.watch(net, optimizer)
        for step in range(8):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = net(x).float().square().mean() * (float("inf") if step in (2, 5) else 1.0)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
            run.note("scaler", scaler.state_dict())
            run.state([optimizer])


@scene
def accumulated(run: Run) -> None:
    net = nn.Sequential(deep(), nn.Dropout(0.3))
    optimizer = adam(net)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=4)
    run.watch(net, optimizer)
    for step in range(12):
        (net(torch.rand(4, 6)).square().mean() / 3).backward()
        if step % 3 == 2:
            optimizer.step()
            run.state([optimizer])
            optimizer.zero_grad()
            schedule.step()
    run.note("rate", schedule.get_last_lr())


@scene
def closures(run: Run) -> None:
    for make in (
        lambda weights: SGD(weights, lr=0.1, momentum=0.9),
        lambda weights: LBFGS(weights, lr=0.5, max_iter=4),
        lambda weights: LBFGS(weights, line_search_fn="strong_wolfe", max_iter=4),
    ):
        net, x = deep(), torch.rand(8, 6)
        optimizer = make(net.parameters())
        run.watch(net, optimizer)

        def closure(net: nn.Module = net, x: Tensor = x, optimizer: Optimizer = optimizer) -> Tensor:
            optimizer.zero_grad()
            loss = net(x).square().mean()
            loss.backward()
            return loss

        for _ in range(4):
            run.note("loss", optimizer.step(closure))
            run.state([optimizer])


@scene
def two_optimizers(run: Run) -> None:
    """Against each other, one of them every second time, and a group that comes later."""
    maker, judge = nn.Sequential(nn.Linear(4, 6), nn.Tanh()), nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    first, second = Adam(maker.parameters(), lr=0.01), SGD([judge[0].weight, judge[0].bias], lr=0.05, momentum=0.5)
    run.watch([maker, judge], [first, second])
    for step in range(8):
        if step == 3:
            second.add_param_group({"params": list(judge[2].parameters()), "lr": 0.01})
        made = maker(torch.randn(5, 4))
        run.step(second, (judge(made.detach()) - judge(torch.randn(5, 6))).mean())
        if step % 2:
            run.step(first, judge(made).square().mean())


@scene
def called_with_other_weights(run: Run) -> None:
    """functional_call, per-sample gradients by vmap, and a derivative of a derivative."""
    net, x = deep(), torch.rand(5, 6)
    optimizer = adam(net)
    run.watch(net, optimizer)
    for _ in range(4):
        weights = {name: weight * 1.5 for name, weight in net.named_parameters()}
        run.step(optimizer, functional_call(net, weights, (x,)).square().mean())
        each = torch.func.vmap(
            torch.func.grad(lambda weights, one: functional_call(net, weights, (one,)).square().sum()), (None, 0)
        )({name: weight.detach() for name, weight in net.named_parameters()}, x)
        run.note("each", each)
        grads = torch.autograd.grad(net(x).square().mean(), list(net.parameters()), create_graph=True)
        run.step(optimizer, sum(grad.square().sum() for grad in grads))


@scene
def exported(run: Run) -> None:
    net, x = deep(), torch.rand(3, 6)
    optimizer = adam(net)
    run.watch(net, optimizer)
    run.step(optimizer, net(x).square().mean())
    with torch.random.fork_rng():
        graph = torch.export.export(net, (x,))
    run.note("exported", graph.module()(x))
    run.note("graph", graph.graph_module.code)
    run.step(optimizer, net(x).square().mean())


@scene
def averaged(run: Run) -> None:
    """A copy is made of the model while it is watched, and lives beside it."""
    net = deep()
    optimizer = adam(net)
    run.watch(net, optimizer)
    mean = AveragedModel(net)
    for _ in range(5):
        run.step(optimizer, net(torch.rand(3, 6)).square().mean())
        mean.update_parameters(net)
        run.note("mean", mean.state_dict())
        run.note("answer", mean(torch.ones(1, 6)))


@scene
def not_finite(run: Run) -> None:
    net = deep()
    optimizer = adam(net)
    run.watch(net, optimizer)
    for step in range(5):
        run.step(optimizer, net(torch.rand(3, 6)).square().mean() * (float("nan") if step == 3 else 1))


@scene
def hooks_of_others(run: Run) -> None:
    """Hooks that change outputs and gradients, keep what passes, and come before and after the watch's own."""
    net, kept = deep(), list[Tensor]()
    optimizer = momentum(net)

    def halve(weight: Tensor) -> None:
        weight.grad.mul_(0.5)

    def forget(*_: object) -> None:
        net[0].bias.grad.zero_()

    def hooked() -> None:
        net[0].register_forward_hook(lambda module, args, output: output * 1.5)
        net[1].register_forward_hook(lambda module, args, kwargs, output: None, with_kwargs=True, always_call=True)
        net[2].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
        net[2].register_full_backward_hook(lambda module, coming, going: (coming[0] * 2,))
        net[4].weight.register_hook(lambda grad: grad.clamp(-1, 1))
        net[4].weight.register_post_accumulate_grad_hook(halve)
        optimizer.register_step_pre_hook(forget)

    hooked()
    run.watch(net, optimizer)
    hooked()
    for _ in range(5):
        x = torch.rand(4, 6, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(lambda one: one.clone(), lambda one: one):
            y = net(x)
        y.retain_grad()
        kept.append(y)
        run.step(optimizer, y.square().mean())
        run.note("of the input", x.grad)
        run.note("of the output", y.grad)


@scene
def steps_within_the_backward(run: Run) -> None:
    """Each weight has an optimizer of its own, which steps as soon as the gradient is there."""
    net = deep()
    optimizers = {weight: SGD([weight], lr=0.05, momentum=0.9) for weight in net.parameters()}

    def at_once(weight: Tensor) -> None:
        run.note("gradient", weight.grad)
        optimizers[weight].step()
        optimizers[weight].zero_grad()

    for weight in net.parameters():
        weight.register_post_accumulate_grad_hook(at_once)
    run.watch(net)
    for _ in range(5):
        net(torch.rand(4, 6)).square().mean().backward()
        run.state(optimizers.values())


@scene
def backward_twice(run: Run) -> None:
    net, x = deep(), torch.rand(4, 6)
    optimizer = adam(net)
    run.watch(net, optimizer)
    for step in range(5):
        with torch.autograd.set_detect_anomaly(step == 2, check_nan=False):
            y = net(x)
            y.mean().backward(retain_graph=True)
            run.step(optimizer, y.square().mean(), to_none=False)
            y = net(x)
            optimizer.zero_grad()
            for one in y.unbind(1):
                one.sum().backward(retain_graph=True)
        optimizer.step()
        run.state([optimizer])


@scene
def changed_on_the_way(run: Run) -> None:
    """Weights frozen, loaded, written into and replaced, layers put in and taken out, another dtype, all in mid-run."""
    net, other = deep(), deep()
    optimizer = momentum(net)
    run.watch(net, optimizer)
    for step in range(10):
        if step in (2, 4):
            net[0].weight.requires_grad_(step == 4)
        if step == 3:
            net.load_state_dict(other.state_dict())
        if step == 5:
            net[2] = nn.Linear(8, 8)
            optimizer.add_param_group({"params": net[2].parameters(), "lr": 0.01})
        if step == 6:
            net[4].weight = nn.Parameter(torch.randn(3, 8))
            optimizer.add_param_group({"params": [net[4].weight]})
        if step == 7:
            net.insert(1, nn.Dropout(0.5))
        if step == 8:
            net.double()
        with torch.no_grad():
            net[0].bias.clamp_(-0.1, 0.1)
        run.step(optimizer, net(torch.rand(4, 6, dtype=net[0].bias.dtype)).square().mean())
        run.note("all", net.state_dict())
