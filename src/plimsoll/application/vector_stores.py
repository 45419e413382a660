"""Where the vectors of an index are kept, in the file: in its own files, or in a store by an address in a variable."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plimsoll.application.language_models import EndpointKey
from plimsoll.application.parts import Part

LOCAL_STORE = "local"


class Variable(Part, frozen=True, kw_only=True):
    """The name of an environment variable; what it has is never in the file."""

    env: Annotated[
        str,
        Meta(
            # What begins so is ours, and is not handed on to what runs for an application.
            pattern=r"^(?!PLIMSOLL_)[A-Za-z_][A-Za-z0-9_]{0,127}$",
            description="the name of the environment variable with the address, not one that begins with PLIMSOLL_",
            examples=["DATABASE_URL"],
        ),
    ]


class Postgres(Part, frozen=True, kw_only=True):
    """A database of PostgreSQL with the extension pgvector."""

    url: Annotated[Variable, Meta(description="the variable with the address of the database, with user and password")]
    schema: (
        Annotated[
            str,
            Meta(
                pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$",
                description="the schema that the tables are made in; the first of the user's search path when left out",
                examples=["search"],
            ),
        ]
        | None
    ) = None


class Qdrant(Part, frozen=True, kw_only=True):
    """A server of Qdrant."""

    url: Annotated[Variable, Meta(description="the variable with the address of the server")]
    key: Annotated[EndpointKey, Meta(description="the variable with the key of the server")] | None = None


class Weaviate(Part, frozen=True, kw_only=True):
    """A server of Weaviate."""

    url: Annotated[Variable, Meta(description="the variable with the address of the server")]
    grpc: (
        Annotated[
            Variable,
            Meta(description="the variable with the address of its gRPC; port 50051 of the same host when left out"),
        ]
        | None
    ) = None
    key: Annotated[EndpointKey, Meta(description="the variable with a key of the server")] | None = None


class Milvus(Part, frozen=True, kw_only=True):
    """A server of Milvus, or a cluster of Zilliz Cloud."""

    url: Annotated[Variable, Meta(description="the variable with the address of the server")]
    key: (
        Annotated[EndpointKey, Meta(description="the variable with user:password, or with a key of the service")] | None
    ) = None


class Pinecone(Part, frozen=True, kw_only=True):
    """An index of Pinecone."""

    url: Annotated[Variable, Meta(description="the variable with the host of the index")]
    key: Annotated[EndpointKey, Meta(description="the variable with the key of the project")]


class Store(Part, frozen=True, kw_only=True):
    """A store for the vectors of an index: one of these."""

    postgres: Postgres | None = None
    qdrant: Qdrant | None = None
    weaviate: Weaviate | None = None
    milvus: Milvus | None = None
    pinecone: Pinecone | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The stores that are named."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name) is not None)


AnyStore = Literal["local"] | Store
