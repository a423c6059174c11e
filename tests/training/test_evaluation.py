import pytest
import torch
from sklearn import metrics
from torch import nn

from workbench.bundle.preprocessing import Preprocessing
from workbench.data.datasets import Split
from workbench.errors import WorkbenchError
from workbench.training.evaluation import evaluate, predict
from workbench.training.models import build_model

LABELS = tuple("abcde")


@pytest.fixture(scope="module")
def answers():
    generator = torch.Generator().manual_seed(3)
    truth = torch.randint(0, 4, (400,), generator=generator)  # no image of class e
    scores = torch.randn(400, 5, generator=generator) + 1.5 * nn.functional.one_hot(truth, 5)
    scores[:, 3] -= 20  # class d is never the answer
    return scores.softmax(1), truth


def test_figures_are_scikit_learns(answers):
    probabilities, truth = answers
    found = evaluate(probabilities, truth, LABELS)
    classes = range(5)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, found.predictions))
    exact = probabilities.double() / probabilities.double().sum(1, keepdim=True)  # float32 rows sum to 1 to 1e-7
    assert found.loss == pytest.approx(metrics.log_loss(truth, exact, labels=list(classes)), rel=1e-5)
    assert found.confusion.tolist() == metrics.confusion_matrix(truth, found.predictions, labels=list(classes)).tolist()
    precision, recall, _, count = metrics.precision_recall_fscore_support(
        truth, found.predictions, labels=list(classes), zero_division=float("nan")
    )
    for k, row in enumerate(found.per_class()):
        assert row["count"] == count[k]
        for value, oracle in ((row["precision"], precision[k]), (row["recall"], recall[k])):
            assert value == pytest.approx(oracle) if value is not None else oracle != oracle
    assert found.per_class()[3]["precision"] is None
    assert found.per_class()[4]["recall"] is None


def test_most_confidently_wrong_are_wrong_and_in_order(answers):
    probabilities, truth = answers
    found = evaluate(probabilities, truth, LABELS)
    wrong = found.most_confidently_wrong(10_000)
    assert len(wrong) == int((probabilities.argmax(1) != truth).sum())
    confidences = [float(probabilities[index].max()) for index in wrong]
    assert confidences == sorted(confidences, reverse=True)
    assert all(int(probabilities[index].argmax()) != int(truth[index]) for index in wrong)


def test_the_most_frequent_mistakes(answers):
    found = evaluate(*answers, LABELS)
    pairs = found.confusions(100)
    assert [count for *_, count in pairs] == sorted((count for *_, count in pairs), reverse=True)
    assert sum(count for *_, count in pairs) == found.count - int(found.confusion.diagonal().sum())


def test_the_margin_holds_the_true_rate_95_times_in_100():
    generator = torch.Generator().manual_seed(0)
    held = 0
    for _ in range(1000):
        right = torch.rand(200, generator=generator) < 0.9
        found = evaluate(
            torch.stack([right.float(), 1 - right.float()], 1), torch.zeros(200, dtype=torch.int64), ("a", "b")
        )
        middle = (found.accuracy + 1.96**2 / 400) / (1 + 1.96**2 / 200)
        held += abs(middle - 0.9) <= found.margin
    assert 930 <= held <= 970


def test_what_does_not_fit_is_refused():
    with pytest.raises(WorkbenchError, match="do not fit 3 images"):
        evaluate(torch.rand(2, 5), torch.zeros(3, dtype=torch.int64), LABELS)
    with pytest.raises(WorkbenchError, match="empty"):
        evaluate(torch.rand(0, 5), torch.zeros(0, dtype=torch.int64), LABELS)


@pytest.mark.parametrize("training", [True, False])
def test_predict_is_the_network_in_evaluation_mode(training):
    images = torch.randint(0, 256, (1100, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    preprocessing = Preprocessing(height=16, width=16, channels=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    model = build_model("convnet", shape=(16, 16, 3)).train(training)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = predict(model, Split("test", images, torch.zeros(1100, dtype=torch.int64)), preprocessing)
    assert model.training is training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    inputs = (images.double().permute(0, 3, 1, 2) / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor(
        [0.2, 0.25, 0.3]
    ).view(3, 1, 1)
    with torch.no_grad():
        oracle = model.double().eval()(inputs).softmax(1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), oracle, atol=1e-5, rtol=0)
