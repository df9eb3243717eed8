"""Untrained classifiers and a generator, made once for all tests of the commands of faces."""

from __future__ import annotations

import pytest

from tests.lightning_modules.commands.faces.small_faces import Files, collect, save_classifier


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A classifier, its statistics and their generator; two judges of other shapes, and one of the generator's."""
    folder = tmp_path_factory.mktemp("faces")
    classifier = save_classifier(folder)
    judges = [str(save_classifier(folder, seed, widths)) for seed, widths in ((1, (6,)), (2, (4, 4, 6)))]
    return Files(folder, classifier, *collect(folder, classifier), judges, save_classifier(folder, 4))
