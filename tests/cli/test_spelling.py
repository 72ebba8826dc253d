"""Names as people write them, and what help and completion offer."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from mnist_depth.cli import commands, flags, main, spelling, usage
from mnist_depth.errors import UserError
from mnist_depth.sweeps.search import BASE


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["--activation=ReLU"], "activation", "relu"),
        (["--activation", "Leaky-ReLU"], "activation", "leaky_relu"),
        (["--initializer=he-normal"], "initializer", "he_normal"),
        (["--initializer=Normal:0.5"], "initializer", "normal:0.5"),
        (["--initializer=Xavier_Uniform"], "initializer", "xavier_uniform"),
        (["--dataset=Fashion-MNIST"], "dataset", "fashion_mnist"),
        (["--learning-rate=0.5"], "learning_rate", 0.5),
        (["--Learning_Rate", "0.5"], "learning_rate", 0.5),
        (["--choose=Activation=ReLU,Tanh;learning-rate=0.1"], "choose", "activation=relu,tanh;learning_rate=0.1"),
    ],
)
def test_other_spellings_are_understood(words: list[str], field: str, value: object) -> None:
    if field == "choose":
        assert spelling.choices(words[0].partition("=")[2]).lower() == value
    else:
        assert flags.parse(["mnist_depth", *words])[0][field].value == value


def test_switches_keep_their_no() -> None:
    values, words = flags.parse(["mnist_depth", "train", "--no-dry-run", "--Keep-Going", "logs/My-Folder"])
    assert values.dry_run is False
    assert values.keep_going is True
    assert words == ["train", "logs/My-Folder"]


def test_what_is_no_name_stays_as_it_is_and_is_refused_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert spelling.value("activation", "swosh") == "swosh"
    assert main(["mnist_depth", "train", "--activation=Swosh"]) == 2
    assert "did you mean swish?" in capsys.readouterr().err
    with pytest.raises(UserError, match="language"):
        flags.parse(["mnist_depth", "--language=klingon"])


def test_help_fits_one_screen_and_all_shows_every_flag() -> None:
    lines = usage.usage(["--help"]).splitlines()
    assert len(lines) <= 28
    assert max(map(len, lines)) <= 80
    everything = usage.usage(["--help", "all"])
    assert {name for name in flags.define() if f"--{name} " not in everything} == set()


@pytest.mark.parametrize(("language", "default"), [("en", "default"), ("ko", "기본값")])
def test_help_of_search_has_the_defaults_that_search_uses(language: str, default: str) -> None:
    lines = {line.split()[0]: line for line in usage.usage(["search", f"--language={language}"]).splitlines() if line}
    for name, value in {**BASE, "learning_rate_range": "1e-6,1e-2", "batch_size": 100}.items():
        assert lines[f"--{name}"].endswith(f"({default}: {value})")
        assert lines[f"--{name}"].count(default) == 1
    assert usage.usage(["train", "--language=en"]).count("(default: he_normal)") == 0


def test_the_examples_of_help_are_valid() -> None:
    for example, _words in usage.EXAMPLES:
        values, words = flags.parse(example.split())
        assert words[0] in commands.COMMANDS
        commands.check_flags(words[0], values)


def completed(shell: str, line: str) -> list[str]:
    """What the function that a shell calls offers for the last word of a command line; zsh filters that itself."""
    script = commands.completions.script(
        shell,
        {name: sorted(command.flags) for name, command in commands.COMMANDS.items()},
        {"study": ["depth9", "dbn"]},
    )
    start = "autoload -U compinit && compinit -D -u; emulate sh\n" if shell == "zsh" else ""
    words = line.split(" ")
    quoted = " ".join(f'"{word}"' for word in words)
    call = f'COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _mnist_depth; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run([shell, "-c", f"{start}{script}\n{call}"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


COMPLETIONS = {
    "mnist-depth th": ["theory"],
    "mnist-depth study d": ["depth9", "dbn"],
    "mnist-depth train --wei": ["--weight_decay"],
    "mnist-depth report --wei": [],
    "mnist-depth train --activation si": ["sigmoid"],
}


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize("line", COMPLETIONS)
def test_shells_complete_commands_names_flags_and_values(line: str) -> None:
    assert completed("bash", line) == COMPLETIONS[line]
    if shutil.which("zsh"):
        assert {*COMPLETIONS[line]} <= {*completed("zsh", line)}


def test_a_shell_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mnist_depth", "completion", "fish"]) == 2
    assert "valid: bash, zsh" in capsys.readouterr().err
