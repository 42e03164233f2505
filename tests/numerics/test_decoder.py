"""Language models against loops, against torch's own functions, and against the same model of `transformers`."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from yunti.models.attention import Block
from yunti.models.decoder import Decoder, own_document
from yunti.models.decoder_layers import DecoderBlock, normalised, rotations, squared_relu, turned
from yunti.models.decoder_size import DecoderShape, derive
from yunti.models.exchange import read_transformers, write_transformers
from yunti.models.looking import looked
from yunti.models.lstm_language import LstmLanguage, LstmShape
from yunti.models.token_loss import _parts as parts_of
from yunti.models.token_loss import token_loss, token_losses

SHAPE = DecoderShape(vocabulary=50, width=32, depth=2, heads=4, key_value_heads=2, context=48)
CAPPED = DecoderShape(vocabulary=50, width=32, depth=2, heads=2, key_value_heads=2, context=48, tied=False, cap=5.0)
RECURRENT = LstmShape(vocabulary=50, width=16, hidden=24, layers=2)


def random_at(seed=0):
    return torch.Generator().manual_seed(seed)


def lively(module):
    """Give every weight a value, so that no branch is nothing."""
    random = random_at(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))
    return module.eval()


def made(shape):
    return lively(LstmLanguage(shape) if isinstance(shape, LstmShape) else Decoder(shape))


def texts(rows=3, steps=40, seed=0):
    return torch.randint(50, (rows, steps), generator=random_at(seed))


def reference(decoder, tokens, documents=None):
    """Compute a decoder's logits from its weights, head by head and number by number."""
    shape = decoder.shape
    state, wide = decoder.state_dict(), shape.head_width

    def unit(x):
        return x / torch.sqrt((x**2).mean(dim=-1, keepdim=True) + 1e-6)

    def turn(x):
        out = torch.empty_like(x)
        for place in range(x.shape[1]):
            for pair in range(wide // 2):
                angle = place * 10_000.0 ** (-2 * pair / wide)
                a, b = x[:, place, 2 * pair], x[:, place, 2 * pair + 1]
                out[:, place, 2 * pair] = a * math.cos(angle) + b * math.sin(angle)
                out[:, place, 2 * pair + 1] = b * math.cos(angle) - a * math.sin(angle)
        return out

    x = unit(state["tokens.weight"][tokens])
    hidden = torch.ones(tokens.shape[1], tokens.shape[1]).triu(1).bool().expand(len(tokens), -1, -1)
    if documents is not None:
        hidden = hidden | (documents[:, :, None] != documents[:, None])
    for block in range(shape.depth):
        weight = {name: state[f"blocks.{block}.{name}.weight"] for name in ("queries_keys_values", "out", "up", "down")}
        parts = (unit(x) @ weight["queries_keys_values"].T).split(wide, dim=-1)
        looked = []
        for head in range(shape.heads):
            shared = head // (shape.heads // shape.key_value_heads)
            query, key = turn(unit(parts[head])), turn(unit(parts[shape.heads + shared]))
            scores = query @ key.transpose(1, 2) / wide**0.5
            looked.append(
                scores.masked_fill(hidden, -math.inf).softmax(-1) @ parts[shape.heads + shape.key_value_heads + shared]
            )
        x = x + torch.cat(looked, dim=-1) @ weight["out"].T
        x = x + torch.relu(unit(x) @ weight["up"].T) ** 2 @ weight["down"].T
    logits = unit(x) @ state.get("head.weight", state["tokens.weight"]).T
    return shape.cap * torch.tanh(logits / shape.cap) if shape.cap else logits


@pytest.mark.parametrize("shape", [SHAPE, CAPPED])
def test_a_decoder_is_what_its_formulas_say(shape):
    decoder, tokens = made(shape), texts(steps=12)
    torch.testing.assert_close(decoder({"tokens": tokens}), reference(decoder, tokens), atol=1e-4, rtol=1e-4)
    documents = torch.tensor([[0] * 5 + [1] * 7, [0] * 12, [3] * 2 + [5] * 9 + [6]])
    packed = decoder({"tokens": tokens, "tokens.document": documents})
    torch.testing.assert_close(packed, reference(decoder, tokens, documents), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "function",
    [
        normalised,
        squared_relu,
        lambda x: turned(x, rotations(3, 7, 6, x.device).to(torch.complex128), 1)[0],
        lambda x: turned(x, rotations(3, 7, 6, x.device).to(torch.complex128), 1)[1],
        lambda x: turned(x, rotations(3, 7, 6, x.device).to(torch.complex128), 1)[2],
    ],
)
def test_gradients_that_are_written_agree_with_differences(function):
    given = torch.randn(2, 4, 5, 6, dtype=torch.float64, generator=random_at(), requires_grad=True)
    assert torch.autograd.gradcheck(function, (given,), eps=1e-6, atol=1e-5)


def test_what_is_turned_depends_on_the_distance_alone():
    vectors = torch.randn(1, 1, 3, 8, generator=random_at())

    def product(query_place, key_place):
        queries = turned(vectors, rotations(query_place, query_place + 1, 8, vectors.device), 1)[0]
        keys = turned(vectors, rotations(key_place, key_place + 1, 8, vectors.device), 1)[1]
        return (queries * keys).sum()

    torch.testing.assert_close(product(9, 4), product(105, 100), atol=1e-4, rtol=1e-4)
    assert abs(product(9, 4) - product(9, 5)) > 1e-2


def test_heads_that_share_keys_and_values_are_heads_that_have_copies_of_them():
    shared = made(SHAPE)
    alone = Decoder(DecoderShape(50, 32, 2, heads=4, key_value_heads=4, context=48))
    state = shared.state_dict()
    for name, weight in state.items():
        if "queries_keys_values" in name:
            queries, keys, values = weight.split([32, 16, 16])
            copies = [each.unflatten(0, (2, 8)).repeat_interleave(2, dim=0).flatten(0, 1) for each in (keys, values)]
            state[name] = torch.cat([queries, *copies])
    alone.load_state_dict(state)
    tokens = texts()
    torch.testing.assert_close(alone({"tokens": tokens}), shared({"tokens": tokens}))


@pytest.mark.parametrize("shape", [SHAPE, CAPPED, RECURRENT])
def test_a_token_knows_only_of_those_before_it(shape):
    module, tokens = made(shape), texts()
    changed = tokens.clone()
    changed[:, 20] = (changed[:, 20] + 1) % 50
    before, after = module({"tokens": tokens}), module({"tokens": changed})
    torch.testing.assert_close(after[:, :20], before[:, :20])
    assert ((after - before)[:, 20:].abs().amax(dim=-1) > 1e-6).all()


@pytest.mark.parametrize("shape", [SHAPE, CAPPED, RECURRENT])
def test_documents_that_are_packed_together_do_not_see_each_other(shape):
    module, tokens = made(shape), texts(rows=1, steps=30)
    documents = torch.tensor([[7] * 11 + [8] * 19])
    packed = module({"tokens": tokens, "tokens.document": documents})
    changed = tokens.clone()
    changed[:, :11] = (changed[:, :11] + 1) % 50
    perturbed = module({"tokens": changed, "tokens.document": documents})
    assert torch.equal(perturbed[:, 11:], packed[:, 11:])
    torch.testing.assert_close(packed[:, 11:], module({"tokens": tokens[:, 11:]}), atol=1e-4, rtol=1e-4)
    assert (own_document(documents).sum(dim=-1)[0, 0, :12] == torch.tensor([*range(1, 12), 1])).all()


@pytest.mark.parametrize("shape", [SHAPE, CAPPED, RECURRENT])
def test_what_is_read_step_by_step_is_what_is_read_at_once(shape):
    module, tokens = made(shape), texts()
    with torch.no_grad():
        wanted = module({"tokens": tokens})
    reading = module.begin(tokens[:, :5])
    torch.testing.assert_close(reading.logits, wanted[:, 4], atol=1e-4, rtol=1e-4)
    for step in range(5, tokens.shape[1]):
        found = reading.step(tokens[:, step])
        assert found is reading.logits
        torch.testing.assert_close(found, wanted[:, step], atol=1e-4, rtol=1e-4)


def test_a_text_longer_than_the_context_is_written_on_from_its_latter_half():
    module, tokens = made(SHAPE), texts(steps=120)
    reading = module.begin(tokens[:, :70])
    assert torch.equal(reading.held, tokens[:, 22:70])
    for step in range(70, 120):
        found = reading.step(tokens[:, step])
        held = reading.held
        assert torch.equal(held, tokens[:, step + 1 - held.shape[1] : step + 1])
        assert 24 < held.shape[1] <= 48
        with torch.no_grad():
            torch.testing.assert_close(found, module({"tokens": held})[:, -1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cap", [0.0, 4.0])
@pytest.mark.parametrize("room", [1, 1 << 20])
def test_the_loss_in_parts_is_cross_entropy_and_so_are_its_gradients(monkeypatch, cap, room):
    monkeypatch.setattr("yunti.models.token_loss._ROOM", room)  # 16 rows at once, or all
    monkeypatch.setattr("yunti.models.token_loss._LEAST_ROWS", 1)
    random = random_at()
    targets = torch.randint(-1, 30, (70,), generator=random)
    pairs = []
    for own in (True, False):
        states = torch.randn(70, 8, generator=random_at(1), requires_grad=True)
        weight = torch.randn(30, 8, generator=random_at(2), requires_grad=True)
        if own:
            loss = token_loss(states, weight, targets, cap)
        else:
            logits = F.linear(states, weight)
            logits = cap * torch.tanh(logits / cap) if cap else logits
            loss = F.cross_entropy(logits, targets, ignore_index=-1)
            each = F.cross_entropy(logits, targets, ignore_index=-1, reduction="none")
            torch.testing.assert_close(token_losses(states, weight, targets, cap), each)
        (3 * loss).backward()
        pairs.append((loss, states.grad, weight.grad))
    for own, wanted in zip(*pairs, strict=True):
        torch.testing.assert_close(own, wanted)


def test_parts_have_many_rows_even_of_a_large_vocabulary():
    sizes = [parts_of(torch.empty(2000, 1), torch.empty(words, 1)) for words in (65, 2048, 16384, 150_000, 10_000_000)]
    assert [part[0].stop for part in sizes] == [4032, 256, 256, 55, 16]
    assert all([part.start for part in parts] == [0, *(part.stop for part in parts[:-1])] for parts in sizes)


@pytest.mark.parametrize("shape", [SHAPE, CAPPED])
def test_in_bf16_losses_and_gradients_are_those_of_fp32_but_for_its_rounding(shape):
    tokens, found = torch.randint(50, (6, 33), generator=random_at()), []
    for narrow in (False, True):
        module = made(shape).train()
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            loss = module.loss(tokens)
        loss.backward()
        assert loss.dtype == torch.float32
        found.append((loss.detach(), torch.cat([each.grad.flatten() for each in module.parameters()])))
    (exact, slope), (rounded, narrowed) = found
    assert float(rounded) == pytest.approx(float(exact), rel=0.01)
    assert F.cosine_similarity(slope, narrowed, dim=0) > 0.99


def test_attention_on_a_processor_is_exact_in_bf16_too():
    parts = [torch.randn(2, heads, 5, 8, generator=random_at(heads)) for heads in (4, 2, 2)]
    narrow = [each.bfloat16() for each in parts]
    with torch.autocast("cpu", torch.bfloat16):
        found = looked(*narrow, causal=True)
    wanted = F.scaled_dot_product_attention(*(each.float() for each in narrow), is_causal=True, enable_gqa=True)
    assert torch.equal(found, wanted)
    mask = torch.tensor([True, False, True, True, False])[None, None, None]
    masked = F.scaled_dot_product_attention(*parts, attn_mask=mask, enable_gqa=True)
    assert torch.equal(looked(*parts, mask), masked)


def test_blocks_whose_weights_are_bf16_work_without_autocast():
    tokens = torch.randn(2, 6, 32, generator=random_at()).bfloat16()
    decoding, reading = DecoderBlock(32, 4, 2, 0.0).bfloat16(), Block(32, 4, 0.0).bfloat16()
    assert decoding(tokens, rotations(0, 6, 8, torch.device("cpu"))).dtype == torch.bfloat16
    assert reading(tokens, None).dtype == torch.bfloat16


def test_a_head_that_stays_as_it_is_passes_on_the_same_gradient():
    random = torch.Generator().manual_seed(0)
    states, weight = torch.randn(6, 8, generator=random), torch.randn(20, 8, generator=random)
    slopes = []
    for learns in (True, False):
        one, other = states.clone().requires_grad_(), weight.clone().requires_grad_(learns)
        token_loss(one, other, torch.arange(6), cap=5.0).backward()
        slopes.append(one.grad)
        assert (other.grad is not None) == learns
    assert torch.equal(*slopes)


def test_a_loss_of_nothing_is_nothing():
    states, weight = torch.randn(4, 8, requires_grad=True), torch.randn(30, 8, requires_grad=True)
    loss = token_loss(states, weight, torch.full((4,), -1))
    loss.backward()
    assert loss == 0
    assert not states.grad.any()
    assert not weight.grad.any()


def test_logits_stay_within_their_cap():
    module = made(CAPPED)
    with torch.no_grad():
        module.head.weight.mul_(100)
    logits = module({"tokens": texts()})
    assert logits.abs().max() <= CAPPED.cap
    assert logits.abs().max() > 0.9 * CAPPED.cap


@pytest.mark.parametrize("shape", [SHAPE, CAPPED, RECURRENT])
def test_the_loss_counts_what_it_should(shape):
    module, tokens = made(shape), texts(rows=2, steps=20)
    logs = module({"tokens": tokens}).log_softmax(-1)
    wanted = -logs[:, :-1].gather(2, tokens[:, 1:, None])[..., 0]
    torch.testing.assert_close(module.surprises(tokens), wanted.detach())
    torch.testing.assert_close(module.loss(tokens), wanted.mean())
    answers = torch.zeros(2, 20, dtype=torch.bool)
    answers[0, 15:], answers[1, 3:9] = True, True
    torch.testing.assert_close(module.loss(tokens, counts=answers), wanted[answers[:, 1:]].mean())
    documents = torch.tensor([[0] * 9 + [1] * 11, [0] * 15 + [-1] * 5])
    found = module.surprises(tokens, documents)
    assert (found[0, 8], found[1, 14:].any()) == (0, False)
    assert found.count_nonzero() == 18 + 14


@pytest.mark.parametrize("shape", [SHAPE, CAPPED])
def test_a_decoder_passes_for_one_of_transformers(shape, tmp_path):
    transformers = pytest.importorskip("transformers")
    transformers.logging.disable_progress_bar()
    decoder, tokens = made(shape), texts()
    write_transformers(decoder, tmp_path / "one")
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "one", local_files_only=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(other(tokens).logits, decoder({"tokens": tokens}), atol=1e-4, rtol=1e-4)
    other.save_pretrained(tmp_path / "two")
    again = read_transformers(tmp_path / "two")
    assert again.shape == shape
    assert torch.equal(again({"tokens": tokens}), decoder({"tokens": tokens}))


def test_the_operations_that_are_told_are_those_that_are_done():
    shape = derive(depth=2, vocabulary=65, tokens=100_000).shape
    decoder, tokens = Decoder(shape), torch.randint(65, (2, shape.context))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        decoder({"tokens": tokens})
    attention = shape.depth * 2 * 2 * 2 * shape.context**2 * shape.width  # counted without regard to what is hidden
    matrices = counter.get_total_flops() - attention
    own = shape.train_flops_per_token / 3 - 2 * shape.depth * shape.width * (shape.context + 1)
    assert matrices == own * tokens.numel()
    assert shape.parameters == sum(parameter.numel() for parameter in decoder.parameters())


@pytest.mark.parametrize("steps", [1, 7])
def test_an_lstm_without_dropout_is_torchs(steps):
    language = made(RECURRENT)
    inner = language.tokens(texts(steps=steps))
    for layer in language.layers:
        inner = layer(inner)[0]
    torch.testing.assert_close(language.states(texts(steps=steps)), inner)
