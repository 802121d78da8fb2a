"""The weights that are validated and kept are the moving average of those that learn."""

import torch
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._network_settings import NetworkSettings
from trailhound.learning.policy._averaging import weight_average


def fill(network: torch.nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)


def value_of(network: torch.nn.Module) -> float:
    values = {float(parameter.detach().flatten()[0]) for parameter in network.parameters()}
    assert len(values) == 1
    return values.pop()


def test_the_average_by_hand() -> None:
    learning = PolicyNetwork(NetworkSettings(8, question_width=4, width=8, rounds=0))
    fill(learning, 0.0)
    average = weight_average(learning, 0.5)
    fill(learning, 1.0)
    average.update_parameters(learning)  # d = 1/10
    torch.testing.assert_close(value_of(average.module), 0.9)
    fill(learning, 2.0)
    average.update_parameters(learning)  # d = 2/11
    torch.testing.assert_close(value_of(average.module), 0.9 * 2 / 11 + 2.0 * 9 / 11)
    assert value_of(learning) == 2.0, "what learns is not touched"
    average.n_averaged.fill_(1000)
    fill(learning, 0.0)
    before = value_of(average.module)
    average.update_parameters(learning)
    torch.testing.assert_close(value_of(average.module), before / 2)
    assert not average.module.training
