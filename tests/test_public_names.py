"""What lit_dl offers to notebooks and projects of one's own, and what importing it costs."""

import subprocess
import sys

import pytest

import lit_dl


def test_every_public_name_is_there():
    from lit_dl import CNN, MLP, Classifier, Digits, GradientMonitor, Regressor

    assert {each.__name__ for each in (CNN, MLP, Classifier, Digits, GradientMonitor, Regressor)} < set(dir(lit_dl))
    for name in lit_dl.data.__all__:  # every data set that joins is offered
        assert getattr(lit_dl, name) is getattr(lit_dl.data, name)
        assert name in dir(lit_dl)


def test_the_names_of_0_1_0_mean_the_same_things():
    import lit_dl.diagnostics
    import lit_dl.task
    from lit_dl.tasks.supervised import SupervisedTask

    assert lit_dl.task.Classifier is lit_dl.Classifier
    assert lit_dl.task.Regressor is lit_dl.Regressor
    assert lit_dl.task.Task is SupervisedTask
    assert lit_dl.diagnostics.GradientMonitor is lit_dl.GradientMonitor


def test_a_name_that_is_not_there_is_an_attribute_error():
    for package in (lit_dl, __import__("lit_dl.diagnostics").diagnostics):
        with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'Oracle'"):
            _ = package.Oracle


@pytest.mark.run
def test_importing_lit_dl_imports_neither_torch_nor_lightning():
    program = "import sys, lit_dl; print(sorted({'torch', 'lightning', 'lit_dl'} & set(sys.modules)))"
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert there.strip() == "['lit_dl']"
