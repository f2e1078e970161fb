"""Reinforcement learning and learning from preferences."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Categorical

from tests.field.entry import classes, learned, mask, normal, shown, uniform


@shown(
    "clipped surrogate: Schulman et al. 2017 (PPO)",
    """
    ratio = exp(logp[t, n] - old[t, n])
    gain = advantage[t, n]
    -mean(min(ratio * gain, clamp(ratio, 1 - eps, 1 + eps) * gain))
    """,
    logp=normal(5, 3, learn=True, scale=0.3),
    old=normal(5, 3, scale=0.3),
    advantage=normal(5, 3),
    eps=0.2,
)
def ppo(logp: Tensor, old: Tensor, advantage: Tensor, eps: float) -> Tensor:
    ratio = (logp - old).exp()
    return -torch.min(ratio * advantage, torch.clamp(ratio, 1 - eps, 1 + eps) * advantage).mean()


@shown(
    "clipped value error: the PPO of OpenAI baselines",
    """
    near = old[t, n] + clamp(value[t, n] - old[t, n], -eps, eps)
    mean(max((value[t, n] - goal[t, n]) ** 2, (near - goal[t, n]) ** 2)) / 2
    """,
    old=normal(5, 3),
    value=learned(5, 3),
    goal=normal(5, 3),
    eps=0.3,
)
def clipped_value(old: Tensor, value: Tensor, goal: Tensor, eps: float) -> Tensor:
    clipped = old + (value - old).clamp(-eps, eps)
    return 0.5 * torch.maximum((value - goal).pow(2), (clipped - goal).pow(2)).mean()


@shown(
    "advantage actor-critic with entropy: Mnih et al. 2016 (A2C)",
    """
    logp = log_softmax(policy[b, a], a)
    gain = goal[b] - value[b]
    actor = -mean(logp[b, action[b]] * stop(gain), b)
    entropy = -mean(sum(exp(logp) * logp, a), b)
    actor + 0.5 * mean(gain ** 2, b) - beta * entropy
    """,
    policy=learned(6, 4),
    goal=normal(6),
    value=learned(6),
    action=classes(4, 6),
    beta=0.01,
)
def actor_critic(policy: Tensor, goal: Tensor, value: Tensor, action: Tensor, beta: float) -> Tensor:
    choice = Categorical(logits=policy)
    advantage = goal - value
    actor = -(choice.log_prob(action) * advantage.detach()).mean()
    return actor + 0.5 * advantage.pow(2).mean() - beta * choice.entropy().mean()


@shown(
    "double Q-learning with a Huber error: van Hasselt, Guez and Silver 2016, the soft choice of actions",
    """
    share = stop(softmax(ahead[b, a] / heat, a))
    goal = reward[b] + gamma * sum(share * stop(target[b, a]), a) * (1 - done[b])
    gap = abs(q[b, action[b]] - goal)
    mean(where(gap < 1, gap ** 2 / 2, gap - 0.5), b)
    """,
    ahead=normal(6, 4),
    reward=normal(6),
    done=classes(2, 6),
    target=normal(6, 4),
    q=learned(6, 4),
    action=classes(4, 6),
    gamma=0.99,
    heat=0.5,
)
def soft_double_q(
    ahead: Tensor, reward: Tensor, done: Tensor, target: Tensor, q: Tensor, action: Tensor, gamma: float, heat: float
) -> Tensor:
    with torch.no_grad():
        future = (F.softmax(ahead / heat, 1) * target).sum(1)
        goal = reward + gamma * future * (1 - done)
    return F.smooth_l1_loss(q.gather(1, action[:, None]).squeeze(1), goal)


@shown(
    "Q-learning with the greatest next value: Mnih et al. 2015 (DQN)",
    """
    goal = reward[b] + gamma * max(target[b, a], a) * (1 - done[b])
    mean((q[b, action[b]] - stop(goal)) ** 2, b)
    """,
    reward=normal(6),
    done=classes(2, 6),
    target=normal(6, 4),
    q=learned(6, 4),
    action=classes(4, 6),
    gamma=0.99,
)
def dqn(reward: Tensor, done: Tensor, target: Tensor, q: Tensor, action: Tensor, gamma: float) -> Tensor:
    goal = torch.where(done == 1, reward, reward + gamma * target.max(1).values)
    return F.mse_loss(q[range(len(q)), action], goal)


@shown(
    "conservative Q-learning, the added term: Kumar et al. 2020",
    "alpha * mean(logsumexp(q[b, a], a) - q[b, action[b]], b)",
    q=learned(6, 4),
    action=classes(4, 6),
    alpha=5.0,
)
def conservative_q(q: Tensor, action: Tensor, alpha: float) -> Tensor:
    return alpha * (torch.logsumexp(q, 1).mean() - q.gather(1, action.unsqueeze(1)).mean())


@shown(
    "expectile regression of values: Kostrikov, Nair and Levine 2022 (IQL)",
    """
    gap = stop(q[b]) - value[b]
    mean(where(gap > 0, tau, 1 - tau) * gap ** 2, b)
    """,
    q=normal(7),
    value=learned(7),
    tau=0.7,
)
def expectile(q: Tensor, value: Tensor, tau: float) -> Tensor:
    gap = q - value
    return (torch.abs(tau - (gap < 0).double()) * gap**2).mean()


@shown(
    "REINFORCE, each answer against the others' mean: Kool et al. 2019; Ahmadian et al. 2024 (RLOO)",
    """
    base = (sum(reward[p, g], g) - reward[p, g]) / (size(g) - 1)
    -mean(stop(reward[p, g] - base) * logp[p, g])
    """,
    reward=normal(3, 4),
    logp=learned(3, 4),
)
def leave_one_out(reward: Tensor, logp: Tensor) -> Tensor:
    total = torch.zeros((), dtype=logp.dtype)
    for r, lp in zip(reward, logp, strict=True):
        for g in range(len(r)):
            others = torch.cat([r[:g], r[g + 1 :]])
            total = total - (r[g] - others.mean()) * lp[g]
    return total / reward.numel()


@shown(
    "group-relative policy optimisation: Shao et al. 2024 (GRPO), with its KL estimate",
    """
    gain[p, g] = (reward[p, g] - mean(reward[p, g], g)) / (sqrt(var(reward[p, g], g)) + 1e-4)
    ratio[p, g, t] = exp(logp[p, g, t] - old[p, g, t])
    step_gain = min(ratio * gain, clamp(ratio, 1 - eps, 1 + eps) * gain)
    away = ref[p, g, t] - logp[p, g, t]
    kl = exp(away) - away - 1
    -mean(mean(step_gain - beta * kl, t, where=keep[p, g, t]), p, g)
    """,
    reward=normal(2, 4),
    logp=normal(2, 4, 5, learn=True, scale=0.3),
    old=normal(2, 4, 5, scale=0.3),
    ref=normal(2, 4, 5, scale=0.3),
    keep=mask(2, 4, 5),
    eps=0.2,
    beta=0.04,
)
def grpo(reward: Tensor, logp: Tensor, old: Tensor, ref: Tensor, keep: Tensor, eps: float, beta: float) -> Tensor:
    advantage = (reward - reward.mean(1, keepdim=True)) / (reward.std(1, keepdim=True, correction=0) + 1e-4)
    advantage = advantage.unsqueeze(-1)
    ratio = torch.exp(logp - old)
    gain = torch.min(ratio * advantage, ratio.clamp(1 - eps, 1 + eps) * advantage)
    kl = torch.exp(ref - logp) - (ref - logp) - 1
    per_token = -(gain - beta * kl)
    return ((per_token * keep).sum(-1) / keep.sum(-1)).mean()


@shown(
    "direct preference optimisation over masked answers: Rafailov et al. 2023",
    """
    won = sum(win[b, t] - win_ref[b, t], t, where=win_keep[b, t])
    lost = sum(lose[b, s] - lose_ref[b, s], s, where=lose_keep[b, s])
    -mean(log(sigmoid(beta * (won - lost))), b)
    """,
    win=learned(4, 5),
    win_ref=normal(4, 5),
    win_keep=mask(4, 5),
    lose=learned(4, 6),
    lose_ref=normal(4, 6),
    lose_keep=mask(4, 6),
    beta=0.1,
)
def dpo(
    win: Tensor, win_ref: Tensor, win_keep: Tensor, lose: Tensor, lose_ref: Tensor, lose_keep: Tensor, beta: float
) -> Tensor:
    policy = (win * win_keep).sum(-1) - (lose * lose_keep).sum(-1)
    reference = (win_ref * win_keep).sum(-1) - (lose_ref * lose_keep).sum(-1)
    return -F.logsigmoid(beta * (policy - reference)).mean()


@shown(
    "prioritised replay with importance weights: Schaul et al. 2016",
    """
    w = (size(b) * chance[b]) ** -beta
    mean(w / max(w) * (q[b] - goal[b]) ** 2, b)
    """,
    chance=uniform(0.01, 0.2, 6),
    q=learned(6),
    goal=normal(6),
    beta=0.4,
)
def prioritised_replay(chance: Tensor, q: Tensor, goal: Tensor, beta: float) -> Tensor:
    weight = (len(q) * chance) ** (-beta)
    return ((weight / weight.max()) * (q - goal) ** 2).mean()
