"""The `tsparse` command: what it says, and what its exit status is."""

import importlib
import subprocess
import sys

import pytest

from tsparse.cli import COMMANDS, main


def test_without_arguments_it_prints_help_that_names_every_command(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)


def test_python_m_tsparse_is_the_same_command():
    ran = subprocess.run([sys.executable, "-m", "tsparse"], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout.split(" ")[:2]) == (0, ["usage:", "tsparse"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"usage: tsparse {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["bake"], ["sheets", "--fast"], ["notebooks", "--run", "--check"]])
def test_words_it_does_not_know_leave_with_2(words, capsys):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_wrong_input_is_one_line_and_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sheets"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("tsparse sheets: no course at ")
    assert said.err.count("\n") == 1


def test_rooms_are_imported_only_when_called():
    code = "import sys, tsparse.cli; tsparse.cli.main([]); print('nbformat' in sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stderr.strip() == "False"


@pytest.mark.parametrize("room", COMMANDS.values(), ids=COMMANDS)
def test_every_command_lives_in_a_room_that_can_run_it(room):
    module = importlib.import_module(room[1])
    assert callable(module.configure)
    assert callable(module.run)
