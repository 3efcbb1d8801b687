"""What Hydra found wrong with a command is said with the way out."""

from hydra.errors import MissingConfigException

from lit_dl.cli.hints import explain


def test_a_launcher_that_is_not_installed_names_its_extra():
    text = "Could not find 'hydra/launcher/ray'\n\nAvailable options in 'hydra/launcher':\n\tbasic\n\tjoblib"
    assert 'pip install -c constraints.txt -e ".[ray]"' in explain(MissingConfigException(text), [])


def test_an_error_that_is_not_of_the_command_is_said_with_its_cause():
    error = ValueError("cannot resolve")
    error.__cause__ = KeyError("the dice")
    assert explain(error, []) == "cannot resolve\n'the dice'"
