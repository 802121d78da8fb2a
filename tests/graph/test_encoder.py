import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from trailhound.graph._encoder import QuestionConditionedGNN, TypedLinks

WIDTH, KINDS, QUESTION, NODES, SEARCHES = 8, 4, 3, 5, 3


def network(rounds: int = 2) -> QuestionConditionedGNN:
    torch.manual_seed(0)
    return QuestionConditionedGNN(WIDTH, KINDS, QUESTION, rounds)


def inputs(edges: int = 14) -> tuple[Tensor, Tensor, TypedLinks, Tensor]:
    """Return nodes, evidence, links and questions of searches that each have edges of their own."""
    generator = torch.Generator().manual_seed(1)
    nodes = torch.randn(SEARCHES, NODES, WIDTH, generator=generator)
    evidence = torch.zeros(SEARCHES, NODES, dtype=torch.bool)
    evidence[:, 0] = True
    ends = torch.randint(0, NODES, (2, edges), generator=generator)
    kinds = torch.randint(0, KINDS, (edges,), generator=generator)
    owners = torch.randint(0, SEARCHES, (edges,), generator=generator)
    question = torch.randn(SEARCHES, QUESTION, generator=generator)
    return nodes, evidence, TypedLinks(ends[0], ends[1], kinds, owners), question


def repeated(links: TypedLinks) -> TypedLinks:
    """Give every search its own copy of shared links, without those that are hidden from it."""
    m = len(links.kinds)
    owners = torch.arange(SEARCHES).repeat_interleave(m)
    own = torch.stack(
        (owners, links.senders.repeat(SEARCHES), links.receivers.repeat(SEARCHES), links.kinds.repeat(SEARCHES)), 1
    )
    hidden = [] if links.hidden is None else links.hidden.T.tolist()
    kept = torch.tensor([edge for edge in own.tolist() if edge not in hidden])
    return TypedLinks(kept[:, 1], kept[:, 2], kept[:, 3], kept[:, 0])


def test_renaming_the_nodes_renames_the_result() -> None:
    nodes, evidence, links, question = inputs()
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(2))
    place = torch.argsort(order)
    renamed = replace(links, senders=place[links.senders], receivers=place[links.receivers])
    expected = network()(nodes, evidence, links, question)[:, order]
    result = network()(nodes[:, order], evidence[:, order], renamed, question)
    assert torch.allclose(result, expected, atol=1e-5)


def test_the_order_of_the_edges_does_not_matter() -> None:
    nodes, evidence, links, question = inputs()
    order = torch.randperm(len(links.kinds), generator=torch.Generator().manual_seed(3))
    assert links.owners is not None
    other = TypedLinks(links.senders[order], links.receivers[order], links.kinds[order], links.owners[order])
    one = network()(nodes, evidence, links, question)
    assert torch.allclose(network()(nodes, evidence, other, question), one, atol=1e-5)


def brute_force(
    net: QuestionConditionedGNN, nodes: Tensor, evidence: Tensor, links: TypedLinks, question: Tensor
) -> Tensor:
    """Follow the formula of the class node by node and edge by edge, in float64."""
    assert links.owners is not None
    edges = list(
        zip(links.owners.tolist(), links.senders.tolist(), links.receivers.tolist(), links.kinds.tolist(), strict=True)
    )
    states = [
        [nodes[b, i] + (net.label(question[b]) if evidence[b, i] else 0) for i in range(NODES)] for b in range(SEARCHES)
    ]
    first = [list(row) for row in states]
    for k in range(net.rounds):
        new = [list(row) for row in states]
        for b in range(SEARCHES):
            alpha = net.gate[k](question[b]).reshape(KINDS, net.heads)
            for i in range(NODES):
                received = [(j, r) for owner, j, to, r in edges if (owner, to) == (b, i)]
                if not received:
                    continue
                total = sum(
                    (alpha[r].unsqueeze(1) * net.send[k](states[b][j]).reshape(net.heads, -1)).reshape(-1)
                    for j, r in received
                )
                inputs = torch.cat((total / math.sqrt(len(received)), states[b][i], first[b][i]))
                new[b][i] = states[b][i] + net.norm[k](net.receive[k](inputs))
        states = new
    return torch.stack([torch.stack(row) for row in states])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("edges", [0, 1, 40])
def test_equal_to_the_formula_edge_by_edge(edges: int, training: bool) -> None:
    net = network(rounds=3).double().train(training)
    nodes, evidence, links, question = inputs(edges)
    values = nodes.double(), evidence, links, question.double()
    assert torch.allclose(net(*values), brute_force(net, *values), atol=1e-12)


def test_importing_the_encoder_and_searching_do_not_import_torch_geometric() -> None:
    """It takes two seconds, which only training is to pay."""
    code = (
        "import sys, torch; from trailhound.graph._encoder import QuestionConditionedGNN, TypedLinks\n"
        "net, one = QuestionConditionedGNN(8, 4, 3).eval(), torch.tensor([0])\n"
        "links = TypedLinks(one, one + 1, one, one)\n"
        "net(torch.ones(1, 2, 8), torch.ones(1, 2, dtype=torch.bool), links, torch.ones(1, 3))\n"
        "print('torch_geometric' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_searches_in_one_batch_are_as_if_alone() -> None:
    nodes, evidence, links, question = inputs()
    together = network()(nodes, evidence, links, question)
    assert links.owners is not None
    for search in range(SEARCHES):
        mine = links.owners == search
        own = TypedLinks(
            links.senders[mine],
            links.receivers[mine],
            links.kinds[mine],
            torch.zeros(int(mine.sum()), dtype=torch.long),
        )
        part = slice(search, search + 1)
        alone = network()(nodes[part], evidence[part], own, question[part])
        assert torch.allclose(together[part], alone, atol=1e-5)


@pytest.mark.parametrize("hidden", [None, torch.tensor([[1], [0], [2], [3]])])
def test_shared_edges_are_as_if_every_search_had_its_own(hidden: Tensor | None) -> None:
    """Two of three searches ask the same; the edge that is hidden from one of them reaches the others."""
    nodes, evidence, links, question = inputs()
    question[2] = question[1]
    shared = TypedLinks(
        torch.cat((links.senders, torch.tensor([0]))),
        torch.cat((links.receivers, torch.tensor([2]))),
        torch.cat((links.kinds, torch.tensor([3]))),
        None,
        hidden,
    )
    # the scale is by the edges that are there, hidden ones too: give the copy the same number of them
    net = network()
    shared_out = net(nodes, evidence, shared, question)
    if hidden is None:
        assert torch.allclose(shared_out, net(nodes, evidence, repeated(shared), question), atol=1e-5)
    else:
        open_out = net(nodes, evidence, replace(shared, hidden=None), question)
        assert torch.allclose(shared_out[[0, 2]], open_out[[0, 2]], atol=1e-5)
        assert not torch.allclose(shared_out[1], open_out[1], atol=1e-3)
        moved = nodes.clone()
        moved[1, 0] += 1  # with its only edge hidden, what node 0 says reaches node 2 in no single round
        alone = TypedLinks(torch.tensor([0]), torch.tensor([2]), torch.tensor([3]), None, hidden)
        one = network(1)
        before, after = one(nodes, evidence, alone, question), one(moved, evidence, alone, question)
        assert torch.allclose(before[1, 2], after[1, 2], atol=1e-6)


def test_the_kind_of_an_edge_and_the_question_matter() -> None:
    nodes, evidence, links, question = inputs()
    one = network()(nodes, evidence, links, question)
    other = replace(links, kinds=(links.kinds + 1) % KINDS)
    assert not torch.allclose(network()(nodes, evidence, other, question), one, atol=1e-3)
    assert not torch.allclose(network()(nodes, evidence, links, question + 1), one, atol=1e-3)


def test_a_node_that_nobody_sends_to_keeps_its_state_and_evidence_is_labelled() -> None:
    nodes, evidence, _, question = inputs()
    zero = torch.tensor([0])
    net = network()
    result = net(nodes, evidence, TypedLinks(zero, torch.tensor([1]), zero, zero), question)
    assert not torch.allclose(result[0, 1], nodes[0, 1], atol=1e-3)
    assert torch.equal(result[:, 2:], nodes[:, 2:])
    assert torch.equal(result[1:, 1], nodes[1:, 1])
    assert torch.allclose(result[:, 0], nodes[:, 0] + net.label(question))


def test_gradient_reaches_every_weight_and_input() -> None:
    net = network()
    nodes, evidence, links, question = inputs()
    nodes.requires_grad_()
    question.requires_grad_()
    weights = torch.randn(nodes.shape, generator=torch.Generator().manual_seed(4))
    (net(nodes, evidence, links, question) * weights).sum().backward()
    for name, tensor in [*net.named_parameters(), ("nodes", nodes), ("question", question)]:
        assert tensor.grad is not None, name
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0, name


@pytest.mark.parametrize("shared", [False, True])
def test_double_precision_gradients_are_right(shared: bool) -> None:
    net = network(rounds=1).double()
    nodes, evidence, links, question = inputs(edges=6)
    links = replace(links, owners=None) if shared else links
    values = (nodes.double().requires_grad_(), question.double().requires_grad_())
    assert torch.autograd.gradcheck(lambda n, q: net(n, evidence, links, q), values)


def test_two_messages_by_hand() -> None:
    """One head, width 1: a message is gate times value, summed over the root of the number of edges."""
    net = QuestionConditionedGNN(1, 2, 1, rounds=1)
    received: list[Tensor] = []
    with torch.no_grad():
        net.send[0].weight.fill_(2.0)
        net.send[0].bias.fill_(1.0)
        net.gate[0].weight.copy_(torch.tensor([[1.0], [-3.0]]))
        net.gate[0].bias.copy_(torch.tensor([0.5, 0.0]))
    net.receive[0].register_forward_pre_hook(lambda module, given: received.append(given[0]))
    nodes = torch.tensor([[[1.0], [3.0], [0.5]]])
    links = TypedLinks(torch.tensor([0, 1]), torch.tensor([2, 2]), torch.tensor([0, 1]), torch.tensor([0, 0]))
    net(nodes, torch.zeros(1, 3, dtype=torch.bool), links, torch.tensor([[0.5]]))
    # values 2 x + 1 = 3 and 7; gates of the question 0.5: 0.5 + 0.5 = 1 and -1.5; sum 3 - 10.5 over the root of 2
    assert received[0][0, 2].tolist() == pytest.approx([-7.5 / math.sqrt(2), 0.5, 0.5])
    assert received[0][0, :2, 0].tolist() == [0.0, 0.0]


def test_traced_matrices_hold_the_gates_of_the_edges() -> None:
    nodes, evidence, _, question = inputs()
    shared = TypedLinks(torch.tensor([0, 0]), torch.tensor([1, 1]), torch.tensor([2, 3]))
    trace: list[tuple[Tensor, Tensor]] = []
    network()(nodes[:1], evidence[:1], shared, question[:1], trace)
    assert len(trace) == 2
    for gates, matrices in trace:
        assert torch.allclose(matrices[0, :, 1, 0], gates[0, 2] + gates[0, 3])
        total, both = matrices.detach().abs().sum(), (gates[0, 2] + gates[0, 3]).detach().abs().sum()
        assert float(total) == pytest.approx(float(both), rel=1e-5)
