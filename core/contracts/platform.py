"""What partners send to `/api/platform/submit`."""

from __future__ import annotations

import difflib
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from core.contracts.vector import GeometryOptions, IndexOptions, OnInvalid
from core.contracts.vector_tables import ColumnName
from core.errors import InvalidRequest
from core.models.catalog import WriteMode
from core.models.platform import AccessLevel, DataType


class Operation(StrEnum):
    """What to do with the dataset."""

    CREATE = "CREATE"  #: process it for the first time
    UPDATE = "UPDATE"  #: process it again, or with another file, in place of what there is
    DELETE = "DELETE"  #: take it back


class ProcessingMode(StrEnum):
    """Where a file is processed."""

    AUTO = "auto"  #: by its size
    FUNCTION = "function"  #: in stages that a Function App can run
    DOCKER = "docker"  #: in one long task of the worker


def _one_alone(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


FileName = Annotated[str, StringConstraints(min_length=1, max_length=900)]
Identifier = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[\w][\w .:/-]*$")
]
VersionIdentifier = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=r"^[\w][\w .:/-]*$")
]


class Spelled(BaseModel):
    """What is sent by people: a name that is not known is refused with the nearest one, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, value: object) -> object:
        names = set(cls.model_fields)
        for field in cls.model_fields.values():
            if isinstance(field.validation_alias, AliasChoices):
                names |= {str(choice) for choice in field.validation_alias.choices}
        unknown = [str(name) for name in value if name not in names] if isinstance(value, dict) else []
        if unknown:
            near = difflib.get_close_matches(unknown[0], names, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(names))}."
            raise ValueError(f"{unknown[0][:100]!r} is not known here; {advice}")
        return value


class ProcessingOptions(Spelled):
    """How to process the file."""

    overwrite: bool = False
    expected_data_type: DataType | None = None
    collection_id: str | None = Field(None, max_length=255)

    processing_mode: ProcessingMode | None = None
    collection_must_exist: bool | None = None
    create_mosaicjson: bool | None = None
    crs: str | None = Field(None, max_length=2000, validation_alias=AliasChoices("target_crs", "crs"))
    input_crs: str | None = Field(None, max_length=2000)
    variable: str | None = Field(None, max_length=400, validation_alias=AliasChoices("variable", "subdataset"))
    raster_type: str | None = None
    output_tier: str | None = None
    jpeg_quality: int | None = None
    strict_mode: bool | None = None

    layer_name: str | None = None
    lon_column: str | None = None
    lat_column: str | None = None
    wkt_column: str | None = None
    all_layers: bool | None = None
    on_invalid: OnInvalid | None = None
    geometry_params: GeometryOptions | None = None
    indexes: IndexOptions | None = None
    column_mapping: dict[str, str] | None = Field(None, max_length=2000)
    temporal_property: str | None = Field(None, max_length=255)
    write_mode: WriteMode | None = None
    upsert_key: tuple[ColumnName, ...] | None = Field(None, max_length=8)
    primary_key: ColumnName | None = None
    create_tile_view: bool | None = None
    max_tile_vertices: int | None = Field(None, ge=8, le=100_000)
    style_attribute: ColumnName | None = None

    @property
    def overwrites(self) -> bool:
        """Whether what the same ids made before is to be replaced."""
        return self.overwrite or self.write_mode is WriteMode.OVERWRITE

    @property
    def joins(self) -> bool:
        """Whether the file's rows are to be added to what the same ids made before."""
        return self.write_mode in (WriteMode.APPEND, WriteMode.UPSERT)


class SubmitDetails(Spelled):
    """A file, and how it is to be processed."""

    operation: Literal[Operation.CREATE, Operation.UPDATE] = Operation.CREATE
    container_name: str = Field(max_length=100)
    file_name: Annotated[
        FileName | Annotated[tuple[FileName, ...], Field(min_length=2)], BeforeValidator(_one_alone)
    ] = Field(
        description="Path of the file inside the container; several rasters become one collection.",
        validation_alias=AliasChoices("file_name", "blob_name"),
    )
    title: str | None = Field(None, max_length=255, validation_alias=AliasChoices("service_name", "title"))
    access_level: AccessLevel = Field(AccessLevel.OUO, validation_alias=AliasChoices("access_level", "classification"))
    description: str | None = Field(None, max_length=4000)
    tags: tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...] = Field((), max_length=100)
    processing_options: ProcessingOptions = ProcessingOptions()
    client_id: Identifier | None = Field(
        None, description="The partner system it is for: the caller's own, and the only one that a partner may name."
    )

    callback_url: str | None = Field(
        None, max_length=2000, description="Where the job's end and the decision on it are told, as signed CloudEvents."
    )

    @field_validator("access_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def files(self) -> tuple[str, ...]:
        """The paths, one or several."""
        return (self.file_name,) if isinstance(self.file_name, str) else self.file_name


class SubmitRequest(SubmitDetails):
    """A dataset version and the file that holds it."""

    dataset_id: Identifier
    resource_id: Identifier
    version_id: VersionIdentifier


class ValidateRequest(SubmitDetails):
    """A file to look at; with the three ids of a dataset version, a request to plan."""

    dataset_id: Identifier | None = None
    resource_id: Identifier | None = None
    version_id: VersionIdentifier | None = None
    data_type: DataType | None = None

    @model_validator(mode="after")
    def _whole(self) -> ValidateRequest:
        given = [n for n in ("dataset_id", "resource_id", "version_id") if getattr(self, n) is not None]
        if len(given) not in (0, 3):
            raise ValueError(
                f"{given[0]} is given without the others: give dataset_id, resource_id and version_id, or none"
            )
        return self

    @property
    def named(self) -> bool:
        """True when it says which dataset version the file is."""
        return self.dataset_id is not None

    def as_submit(self) -> SubmitRequest:
        """The request that would be submitted. A file without a dataset gets ids that nothing is written under."""
        given = self.model_dump(exclude={"data_type"}, exclude_unset=True)
        options = self.processing_options
        if self.data_type is not None and options.expected_data_type is None:
            given["processing_options"] = options.model_copy(update={"expected_data_type": self.data_type})
        unnamed = {} if self.named else {"dataset_id": "unnamed", "resource_id": "unnamed", "version_id": "unnamed"}
        return SubmitRequest(**{**given, **unnamed})


class AddToCollection(SubmitRequest):
    """A raster for a collection that exists."""

    collection_id: str = Field(min_length=1, max_length=255)

    def as_submit(self) -> SubmitRequest:
        """The submit request that means the same. Raises InvalidRequest when its options say otherwise."""
        options = self.processing_options
        if options.collection_must_exist is False or options.collection_id not in (None, self.collection_id):
            raise InvalidRequest(
                "processing_options contradict the request: this route adds to the collection named by collection_id.",
                hint="Leave collection_id and collection_must_exist out of processing_options.",
            )
        chosen = {"collection_id": self.collection_id, "collection_must_exist": True}
        given = self.model_dump(exclude={"collection_id", "processing_options"}, exclude_unset=True)
        return SubmitRequest(**given, processing_options=options.model_copy(update=chosen))
