import math

import pytest
import torch
from torch import Tensor
from trailhound.graph.encoder import QuestionConditionedGNN

WIDTH, RELATIONS, QUESTION = 6, 4, 3


def network(rounds: int = 2) -> QuestionConditionedGNN:
    torch.manual_seed(0)
    return QuestionConditionedGNN(WIDTH, RELATIONS, QUESTION, rounds)


def inputs(nodes: int = 7, edges: int = 12, graphs: int = 2) -> list[Tensor]:
    """Return nodes, edge_index, edge_type, question, graph; the first half of the nodes is the first graph."""
    generator = torch.Generator().manual_seed(1)
    graph = torch.arange(nodes) * graphs // nodes
    ends = torch.randint(0, nodes, (2, 200), generator=generator)
    ends = ends[:, (graph[ends[0]] == graph[ends[1]]) & (ends[0] != ends[1])][:, :edges]
    return [
        torch.randn(nodes, WIDTH, generator=generator),
        ends,
        torch.randint(0, RELATIONS, (ends.shape[1],), generator=generator),
        torch.randn(graphs, QUESTION, generator=generator),
        graph,
    ]


def test_renaming_the_nodes_renames_the_result() -> None:
    nodes, ends, kinds, question, graph = inputs()
    order = torch.randperm(7, generator=torch.Generator().manual_seed(2))
    place = torch.argsort(order)
    expected = network()(nodes, ends, kinds, question, graph)[order]
    assert torch.allclose(network()(nodes[order], place[ends], kinds, question, graph[order]), expected, atol=1e-6)


def test_the_order_of_the_edges_does_not_matter() -> None:
    nodes, ends, kinds, question, graph = inputs()
    order = torch.randperm(ends.shape[1], generator=torch.Generator().manual_seed(3))
    one = network()(nodes, ends, kinds, question, graph)
    assert torch.allclose(network()(nodes, ends[:, order], kinds[order], question, graph), one, atol=1e-6)


def test_a_question_changes_its_own_graph_and_no_other() -> None:
    nodes, ends, kinds, question, graph = inputs()
    other = question.clone()
    other[1] += 1
    change = (network()(nodes, ends, kinds, other, graph) - network()(nodes, ends, kinds, question, graph)).abs().sum(1)
    reached = torch.zeros(7, dtype=torch.bool)
    reached[ends[1]] = True
    assert (change[graph == 0] == 0).all()
    assert (change[(graph == 1) & reached] > 1e-4).all()


def test_graphs_in_one_batch_are_as_if_alone() -> None:
    nodes, ends, kinds, question, graph = inputs()
    together = network()(nodes, ends, kinds, question, graph)
    first, inside = graph == 0, graph[ends[0]] == 0
    alone = network()(nodes[first], ends[:, inside], kinds[inside], question[:1], graph[first])
    assert torch.allclose(together[first], alone, atol=1e-6)


def test_the_kind_of_an_edge_matters() -> None:
    nodes, ends, kinds, question, graph = inputs()
    one = network()(nodes, ends, kinds, question, graph)
    assert not torch.allclose(network()(nodes, ends, (kinds + 1) % RELATIONS, question, graph), one)


def test_without_edges_and_without_nodes_nothing_changes() -> None:
    nodes, _, _, question, graph = inputs()
    none = torch.zeros(2, 0, dtype=torch.long)
    assert torch.equal(network()(nodes, none, none[0], question, graph), nodes)
    assert network()(nodes[:0], none, none[0], question, graph[:0]).shape == (0, WIDTH)
    assert torch.equal(network(rounds=0)(*inputs()), nodes)


def test_a_node_that_nobody_sends_to_keeps_its_state() -> None:
    nodes, _, _, question, graph = inputs()
    result = network()(nodes, torch.tensor([[0], [1]]), torch.tensor([2]), question, graph)
    kept = torch.arange(7) != 1
    assert torch.equal(result[kept], nodes[kept])
    assert not torch.allclose(result[1], nodes[1])


def test_gradient_reaches_every_weight_and_input() -> None:
    net = network()
    nodes, ends, kinds, question, graph = inputs()
    nodes.requires_grad_()
    question.requires_grad_()
    weights = torch.randn(7, WIDTH, generator=torch.Generator().manual_seed(4))
    (net(nodes, ends, kinds, question, graph) * weights).sum().backward()
    for name, tensor in [*net.named_parameters(), ("nodes", nodes), ("question", question)]:
        assert tensor.grad is not None, name
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0, name


def test_double_precision_gradients_are_right() -> None:
    net = network(rounds=1).double()
    nodes, ends, kinds, question, graph = inputs(nodes=4, edges=5)
    values = (nodes.double().requires_grad_(), question.double().requires_grad_())
    assert torch.autograd.gradcheck(lambda n, q: net(n, ends, kinds, q, graph), values)


def test_two_messages_by_hand() -> None:
    net = QuestionConditionedGNN(2, 2, 1, rounds=1)
    with torch.no_grad():
        for linear in (net.send[0], net.receive[0]):
            linear.weight.copy_(torch.eye(2))
            linear.bias.zero_()
        net.relation.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -3.0]]))
        net.question.weight.copy_(torch.tensor([[1.0], [2.0]]))
        net.question.bias.zero_()
    nodes = torch.tensor([[1.0, 2.0], [3.0, 4.0], [0.5, 0.5]])
    ends, kinds = torch.tensor([[0, 1], [2, 2]]), torch.tensor([0, 1])
    result = net(nodes, ends, kinds, torch.tensor([[0.5]]), torch.zeros(3, dtype=torch.long))
    # The question adds (0.5, 1): gates 1 + (1, 0) + (0.5, 1) = (2.5, 2) and 1 + (0, -3) + (0.5, 1) = (1.5, -1).
    # Messages (2.5, 4) and relu(4.5, -4) = (4.5, 0); sum (7, 4) over the root of 2.
    high, low = 7 / math.sqrt(2), 4 / math.sqrt(2)
    half = (high - low) / 2
    normed = half / math.sqrt(half**2 + net.norm[0].eps)
    assert result[2].tolist() == pytest.approx([0.5 + normed, 0.5 - normed], rel=1e-6)
    assert torch.equal(result[:2], nodes[:2])
