import torch
from trailhound.agent.network import NetworkSettings, PolicyNetwork
from trailhound.learning.policy.averaging import WeightAverage


def network(value: float) -> PolicyNetwork:
    made = PolicyNetwork(NetworkSettings(8, question_width=4, width=8, rounds=0))
    fill(made, value)
    return made


def fill(made: PolicyNetwork, value: float) -> None:
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(value)


def value_of(made: PolicyNetwork) -> float:
    values = {float(parameter.detach().flatten()[0]) for parameter in made.parameters()}
    assert len(values) == 1
    return values.pop()


def test_the_average_by_hand() -> None:
    learning = network(0.0)
    average = WeightAverage(learning, 0.5)
    fill(learning, 1.0)
    average.update()  # d = 1/10
    torch.testing.assert_close(value_of(average.network), 0.9)
    fill(learning, 2.0)
    average.update()  # d = 2/11
    torch.testing.assert_close(value_of(average.network), 0.9 * 2 / 11 + 2.0 * 9 / 11)
    average.steps = 1000
    fill(learning, 0.0)
    before = value_of(average.network)
    average.update()
    torch.testing.assert_close(value_of(average.network), before / 2)


def test_it_does_not_touch_what_learns_and_can_begin_again() -> None:
    learning = network(1.0)
    average = WeightAverage(learning, 0.9)
    fill(learning, 3.0)
    average.update()
    assert value_of(learning) == 3.0
    assert not average.network.training
    average.restart()
    assert (value_of(average.network), average.steps) == (3.0, 0)


def test_without_decay_it_is_the_network_itself() -> None:
    learning = network(1.0)
    average = WeightAverage(learning, 0.0)
    fill(learning, 5.0)
    average.update()
    assert value_of(average.network) == 5.0
