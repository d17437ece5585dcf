"""Settings of the commands that talk to a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from phospho_schemas.settings import setting


@dataclass(frozen=True)
class ClientSettings:
    """Settings of the commands that talk to a server."""

    base_url: str = setting(
        "",
        "URL of the server; by default that of the local `phospho up`.",
        variable="PHOSPHO_BASE_URL",
        option="--base-url",
    )
    api_key: str = setting("", "A project's key.", variable="PHOSPHO_API_KEY", option="--api-key", is_secret=True)
    project_id: str = setting(
        "", "Project to act on, for an administrator.", variable="PHOSPHO_PROJECT_ID", option="--project"
    )
    data_dir: Path = setting(
        Path("phospho-data"), "Folder of the local `phospho up`, whose token needs no key.", variable="PHOSPHO_DATA"
    )
