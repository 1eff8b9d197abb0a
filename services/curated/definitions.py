"""How does the file of a curated dataset get into its table? As a partner's would, under a name of the system's."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue, ValidationError

from core.contracts.storage import BlobName
from core.contracts.vector import MixedTypes, ProcessVectorParameters
from core.contracts.vector_formats import VectorFormat
from core.errors import Conflict, InvalidRequest
from core.models.catalog import WriteMode
from core.models.curated import CuratedDataset, CuratedSourceType, CuratedUpdateStrategy

CONTAINER = "bronze-vectors"  #: where fetched files lie, below `curated/`
#: Said by the registry itself, or meant for several tables.
_NOT_CONFIGURED = {
    "blob_name",
    "container_name",
    "table_name",
    "schema_name",
    "write_mode",
    "upsert_key",
    "title",
    "description",
    "dataset_id",
    "resource_id",
    "version_id",
    "request_id",
    "client_id",
    "access_level",
    "collection_id",
    "item_id",
    "system_role",
    "all_layers",
}
_CONFIGURED = frozenset(ProcessVectorParameters.model_fields) - _NOT_CONFIGURED
#: Chosen when a table is made; rows that join it take it as it is.
_OF_A_NEW_TABLE = {
    "primary_key",
    "create_tile_view",
    "max_tile_vertices",
    "style_attribute",
    "indexes",
    "temporal_property",
}
#: Said once of a table, for as long as rows join it.
_WORDS = {"license", "attribution", "keywords"}
_IN_PARTS = (VectorFormat.SHAPEFILE, VectorFormat.MAPINFO)


def blob(dataset: CuratedDataset) -> BlobName:
    """Where the file of a dataset lies that comes from storage. Raises InvalidRequest where it may not be read."""
    container, _, path = dataset.source_url.partition("/")
    name = BlobName(container, path)
    if name.zone != "bronze":
        raise InvalidRequest(
            f"source_url {dataset.source_url!r} is not in a container that files are taken from.",
            hint="Upload the file to a container whose name starts with bronze-.",
        )
    return name


def folder(dataset_id: str) -> str:
    """Prefix of the paths under which the files of a dataset are kept."""
    return f"curated/{dataset_id}/"


def require_loadable(dataset: CuratedDataset) -> None:
    """Raise InvalidRequest for a definition that no update could follow."""
    url = dataset.source_type is CuratedSourceType.URL
    if url != dataset.source_url.startswith(("http://", "https://")):
        raise InvalidRequest(
            f"source_url {dataset.source_url[:200]!r} does not go with source_type {dataset.source_type.value}.",
            hint="A url begins with http:// or https://; a blob is container/path.",
        )
    if not url:
        blob(dataset)
    if (dataset.update_strategy is CuratedUpdateStrategy.UPSERT) != bool(dataset.update_key):
        raise InvalidRequest("update_key is for update_strategy upsert, which needs it.")
    for joins in (False, bool(dataset.update_key)):
        loading(dataset, "0" * 64, joins=joins)


def require_kept(before: CuratedDataset, after: CuratedDataset) -> None:
    """Raise Conflict where rows would go on to join a table that says of itself something else."""
    upsert = CuratedUpdateStrategy.UPSERT
    if before.last_updated_at is None or {before.update_strategy, after.update_strategy} != {upsert}:
        return
    fields = ("name", "description", "access_level", "system_role")
    changed = [name for name in fields if getattr(before, name) != getattr(after, name)]
    config = sorted(_OF_A_NEW_TABLE | _WORDS)
    changed += [f"source_config.{k}" for k in config if before.source_config.get(k) != after.source_config.get(k)]
    if changed:
        raise Conflict(
            f"{', '.join(changed)} of {before.target_table_name} cannot change while rows are added to it.",
            hint="Set update_strategy full_replace with it, update, and set upsert again.",
        )


def loading(dataset: CuratedDataset, sha256: str, *, joins: bool) -> ProcessVectorParameters:
    """How content with this checksum is loaded; with `joins` into the table that is there.

    Raises InvalidRequest for a source_config that cannot be meant.
    """
    config = dict(dataset.source_config)
    unknown = sorted(set(config) - _CONFIGURED)
    if unknown:
        raise InvalidRequest(
            f"source_config.{unknown[0]} is not known.", hint=f"Known are {', '.join(sorted(_CONFIGURED))}."
        )
    extension = str(config.pop("file_extension", None) or _extension(dataset)).lower().lstrip(".")
    shaping = config.get("geometry_params", {})
    if isinstance(shaping, dict):  # else it is refused below
        config["geometry_params"] = {"mixed": MixedTypes.GEOMETRY.value, **shaping}
    upserts = dataset.update_strategy is CuratedUpdateStrategy.UPSERT
    if upserts and len(dataset.update_key) == 1:
        config.setdefault("primary_key", dataset.update_key[0])
    if joins:
        config = {name: value for name, value in config.items() if name not in _OF_A_NEW_TABLE}
    mode = WriteMode.OVERWRITE if not upserts else WriteMode.UPSERT if joins else WriteMode.CREATE
    key: list[JsonValue] = list(dataset.update_key) if joins else []
    said: dict[str, JsonValue] = {
        **config,
        "container_name": CONTAINER,
        "blob_name": f"{folder(dataset.dataset_id)}{sha256}.{extension}",
        "file_extension": extension,
        "table_name": dataset.target_table_name,
        "write_mode": mode.value,
        "upsert_key": key,
        "title": dataset.name,
        "description": dataset.description,
        "dataset_id": dataset.dataset_id,
        "access_level": dataset.access_level.value,
        "system_role": dataset.system_role and dataset.system_role.value,
    }
    try:
        parameters = ProcessVectorParameters.model_validate(said)
    except ValidationError as e:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'source_config'}: {p['msg']}" for p in e.errors()]
        raise InvalidRequest(f"The file cannot be loaded so: {'; '.join(problems)}.") from e
    if parameters.geometry_params.mixed is MixedTypes.SPLIT:
        raise InvalidRequest(
            "source_config.geometry_params.mixed split makes several tables, and a curated dataset is one.",
            hint="Leave it out, or set it to collection.",
        )
    if parameters.file_extension in _IN_PARTS:
        raise InvalidRequest(
            f"A {parameters.file_extension.value} file has siblings, and a curated dataset is one file.",
            hint="Give a zip of all of them.",
        )
    return parameters


def _extension(dataset: CuratedDataset) -> str:
    url = dataset.source_type is CuratedSourceType.URL
    path = unquote(urlsplit(dataset.source_url).path) if url else dataset.source_url
    found = PurePosixPath(path).suffix.lower().lstrip(".")
    if not found:
        raise InvalidRequest(
            "source_url does not end with a file's extension.", hint="Say what it is in source_config.file_extension."
        )
    return found
