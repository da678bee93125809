from __future__ import annotations

import hashlib

import pytest

from catalog.errors import ConfigError
from keyart.workspace.api_keys import redact, refuse_keys
from tests.posters.tmdb_server import V3_KEY, V4_TOKEN


@pytest.mark.parametrize("key", [V3_KEY, V3_KEY.upper(), V4_TOKEN])
@pytest.mark.parametrize("text", ["{}", "'{}'", "https://h/3?api_key={}&language=en", "b'{}'", "Bearer {}\n"])
def test_redacts_keys(key: str, text: str) -> None:
    assert redact(text.format(key)) == text.format("***")


@pytest.mark.parametrize("text", [hashlib.sha256(b"").hexdigest(), "Eyjafjallajökull", V3_KEY[:-1], "eyJ"])
def test_leaves_other_text(text: str) -> None:
    assert redact(text) == text
    refuse_keys([text])


@pytest.mark.parametrize("argument", [V3_KEY, V4_TOKEN, f"--token={V3_KEY}", f"Bearer {V4_TOKEN}", f" {V3_KEY}\n"])
def test_refuses_a_key_among_the_arguments(argument: str) -> None:
    with pytest.raises(ConfigError, match="set TMDB_API_KEY") as caught:
        refuse_keys(["fetch", argument])
    assert argument not in str(caught.value)


def test_a_file_name_may_contain_a_checksum() -> None:
    refuse_keys(["import", f"posters-{V3_KEY}", f"/data/{V3_KEY}/posters", f"{V3_KEY}.jpg"])
