"""A run's stream of random numbers: its own, repeatable, and without a trace in the user's."""

from __future__ import annotations

import pytest
import torch

from workbench.training.randomness import RandomStream

CPU = torch.device("cpu")


def draw(stream: RandomStream) -> torch.Tensor:
    with stream.active():
        return torch.rand(3)


def test_a_stream_goes_on_where_it_was_whatever_the_user_draws() -> None:
    torch.manual_seed(1)
    expected = torch.rand(5)
    torch.manual_seed(7)
    unbroken = torch.rand(6)
    torch.manual_seed(1)
    stream = RandomStream(7, CPU)
    users = [torch.rand(2)]
    first = draw(stream)
    users.append(torch.rand(3))
    assert torch.equal(torch.cat([first, draw(stream)]), unbroken)
    assert torch.equal(torch.cat(users), expected)


def test_a_saved_state_is_continued_by_another_stream() -> None:
    stream, other = RandomStream(0, CPU), RandomStream(5, CPU)
    draw(stream)
    other.states = [state.clone() for state in stream.states]
    assert torch.equal(draw(stream), draw(other))


def test_an_error_inside_restores_the_users_state() -> None:
    before = torch.get_rng_state()
    stream = RandomStream(0, CPU)
    with pytest.raises(IndexError), stream.active():
        torch.rand(1)[1]
    assert torch.equal(torch.get_rng_state(), before)
