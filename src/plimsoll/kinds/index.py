"""Indexes: documents that are found by their words, by their meaning, or by both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, to_builtins
from msgspec.structs import replace

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part, Resources
from plimsoll.application.scalars import ModelReference, Name
from plimsoll.application.shape import suggest_name
from plimsoll.application.vector_stores import LOCAL_STORE, AnyStore, Store
from plimsoll.indexes.layout import StorePlace
from plimsoll.indexes.names import versions_of
from plimsoll.kinds import ingredients
from plimsoll.kinds.accelerators import check_accelerators, settled_resources
from plimsoll.kinds.dataset import DATASETS, Fetch
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.tables import TABLES, extras_of_table
from plimsoll.planning.keys import setting, text_digest
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep, Ingredient, InputFile, Step, Work
from plimsoll.state.results import Result
from plimsoll.stores.places import PLACES as STORES

SearchMode = Literal["dense", "lexical", "hybrid"]
FORMAT = "2"
"""Part of the keys: a change of how indexes are built builds them anew."""


class Chunking(Part, frozen=True, kw_only=True):
    """The size of chunks, in tokens of the embedding model, or in words without one."""

    tokens: Annotated[int, Meta(ge=16, le=4096, description="tokens of a chunk at most")] = 256
    overlap: (
        Annotated[int, Meta(ge=0, le=2048, description="tokens that neighbours share at most; a quarter when left out")]
        | None
    ) = None

    @property
    def shared(self) -> int:
        """The tokens that neighbours share at most."""
        return self.tokens // 4 if self.overlap is None else self.overlap


class Index(Part, frozen=True, kw_only=True):
    """Documents that are searched: files, or with `text` the rows of a table."""

    documents: Annotated[str, Meta(description="a dataset, or a file of one as name/file")]
    text: Annotated[str, Meta(min_length=1, description="the column of a table with the text")] | None = None
    id: Annotated[str, Meta(min_length=1, description="the column with the id of a document")] | None = None
    title: Annotated[str, Meta(min_length=1, description="the column with the title")] | None = None
    metadata: Annotated[tuple[str, ...], Meta(description="columns that are shown with what is found")] = ()
    access: (
        Annotated[str, Meta(min_length=1, description="the column with the labels of who may see a document")] | None
    ) = None
    embed: (
        Annotated[ModelReference, Meta(description="the model that embeds texts, with its tokenizer.json")] | None
    ) = None
    rerank: (
        Annotated[ModelReference, Meta(description="a cross-encoder that puts the best passages in order")] | None
    ) = None
    search: Annotated[SearchMode, Meta(description="hybrid with `embed`, lexical without")] | None = None
    chunk: Chunking = Chunking()
    store: Annotated[
        AnyStore,
        Meta(description="`local` for files of the index, or `{postgres: {url: {env: NAME}}}` or another store"),
    ] = "local"
    resources: Resources = Resources()
    target: Name | None = None

    @property
    def outside(self) -> Store | None:
        """The store of the vectors; None for files of the index."""
        return None if isinstance(self.store, str) else self.store


class IndexResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The numbers of documents and chunks, those embedded for this version, and the version of the embedding model."""

    documents: int
    chunks: int
    embedded: int = 0
    model: str | None = None
    left_out: int = 0

    def figure(self) -> str:
        """The numbers of documents and chunks."""
        parts = [_counted(self.documents, "document"), _counted(self.chunks, "chunk")]
        if self.model:
            parts.append(f"{self.embedded} embedded")
        if self.left_out:
            parts.append(f"{self.left_out} left out")
        return ", ".join(parts)

    def summary(self) -> Mapping[str, object]:
        """The entry in `--json`."""
        return {
            "documents": self.documents,
            "chunks": self.chunks,
            "embedded": self.embedded,
            "model": self.model,
            "left_out": self.left_out,
        }


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class BuildIndex(Work, frozen=True, kw_only=True):
    """Build an index.

    `model` is the reference of the embedding model; `register_key` is the key of the step that registers it in this
    plan, None when the file pins a version.
    """

    verb: ClassVar[str] = "index"
    result: ClassVar[type[Result]] = IndexResult
    kept_here: ClassVar[bool] = True
    index: str
    documents: InputFile
    part: Index
    search: SearchMode
    model: str | None = None
    register_key: str | None = None

    def needed_extras(self) -> Iterator[str]:
        """What builds indexes, and what the table needs."""
        yield "retrieval"
        if self.part.text is not None:
            yield from extras_of_table(self.documents)
        if self.part.outside is not None:
            yield from (STORES[each].extra for each in self.part.outside.kinds if STORES[each].extra)

    def place(self) -> StorePlace | None:
        """Where the vectors go, as the file says it and without a name; None for files of the index."""
        return None if self.part.outside is None else _place(self.part.outside)


def _place(store: Store) -> StorePlace:
    """The one store that a checked part names."""
    if (postgres := store.postgres) is not None:
        schema = postgres.schema or ""
        return StorePlace(kind="postgres", name="", mark="", url=postgres.url.env, schema=schema)
    if (qdrant := store.qdrant) is not None:
        key = qdrant.key.env if qdrant.key else ""
        return StorePlace(kind="qdrant", name="", mark="", url=qdrant.url.env, key=key)
    if (weaviate := store.weaviate) is not None:
        key = weaviate.key.env if weaviate.key else ""
        grpc = weaviate.grpc.env if weaviate.grpc else ""
        return StorePlace(kind="weaviate", name="", mark="", url=weaviate.url.env, key=key, grpc=grpc)
    if (milvus := store.milvus) is not None:
        key = milvus.key.env if milvus.key else ""
        return StorePlace(kind="milvus", name="", mark="", url=milvus.url.env, key=key)
    if (pinecone := store.pinecone) is not None:
        return StorePlace(kind="pinecone", name="", mark="", url=pinecone.url.env, key=pinecone.key.env)
    raise ValueError("a store without any was checked")


class IndexKind(Kind[Index]):
    """`spec.indexes`."""

    key = "indexes"
    part = Index
    works = (BuildIndex, ReleaseIndex)

    def check(self, file: ApplicationFile) -> None:
        """Check that documents and model exist, and that the settings fit each other."""
        for name, index in self.of(file.application).items():
            at = self.place(name)
            DATASETS.check_reference(file, index.documents, *at, "documents")
            check_accelerators(file, index.resources, *at)
            self._check_columns(file, index, *at)
            if index.embed is not None:
                MODELS.check_reference(file, index.embed, *at, "embed")
            if index.rerank is not None:
                MODELS.check_reference(file, index.rerank, *at, "rerank")
            if index.embed is None and index.search not in {None, "lexical"}:
                text = f"`search: {index.search}` needs vectors, and the index has no `embed`"
                raise file.error(text, "name an embedding model with `embed`, or use `search: lexical`", *at, "search")
            self._check_store(file, index, *at)
            if index.chunk.shared * 2 > index.chunk.tokens:
                text = f"an overlap of {index.chunk.shared} is more than half of a chunk of {index.chunk.tokens} tokens"
                raise file.error(text, f"use at most {index.chunk.tokens // 2}", *at, "chunk", "overlap")

    def _check_store(self, file: ApplicationFile, index: Index, *at: str) -> None:
        """Raise FileError unless there are vectors for a store, and it is one store."""
        store = index.outside
        if store is None:
            return
        if len(store.kinds) != 1:
            named = f"both {' and '.join(store.kinds)}" if store.kinds else "no store"
            hint = f"name one of {', '.join(STORES)}, or write `store: {LOCAL_STORE}`"
            raise file.error(f"`store` names {named}", hint, *at, "store", at_key=True)
        if index.embed is None or index.search == "lexical":
            reason = "has no `embed`" if index.embed is None else "is searched by words alone"
            text = f"a store keeps vectors, and the index {reason}"
            raise file.error(text, "name an embedding model with `embed`, or remove `store`", *at, "store", at_key=True)

    def _check_columns(self, file: ApplicationFile, index: Index, *at: str) -> None:
        source = DATASETS.source_of(file.application, index.documents).rstrip("/")
        if source.endswith(TABLES) and index.text is None:
            text = f"'{index.documents}' is a table, and the index does not say which column has the text"
            raise file.error(text, "add `text: COLUMN`", *at, "documents")
        for column in ("id", "title", "metadata", "access"):
            if getattr(index, column) and index.text is None:
                hint = "add `text: COLUMN`, or remove it: files have their path for an id"
                raise file.error(f"`{column}` is for the rows of a table", hint, *at, column, at_key=True)

    def plan(self, name: str, part: Index, planner: Planner) -> AnyStep:
        """Add a step that builds the index, after its documents exist and its model is registered."""
        (documents,) = DATASETS.inputs(planner, (part.documents,))
        needs, made_of = [documents.step], [ingredients.of_input(documents)]
        register_key = None
        if part.embed is not None:
            register, model_is = MODELS.registered(planner, part.embed)
            made_of += model_is
            if register is not None:
                needs.append(register.name)
                register_key = register.key
        search = part.search or ("hybrid" if part.embed else "lexical")
        settings = {each: getattr(part, each) for each in ("text", "id", "title", "access")}
        made_of += [
            setting("format", FORMAT),
            setting("search", search),
            setting("chunk", [part.chunk.tokens, part.chunk.shared]),
            setting("columns", {**settings, "metadata": list(part.metadata)}),
        ]
        if part.outside is not None:
            made_of.append(setting("store", to_builtins(part.outside)))
        work = BuildIndex(
            index=name, documents=documents, part=part, search=search, model=part.embed, register_key=register_key
        )
        # A node may be lost under it; what a corpus is refused for is refused again.
        build = planner.add(name, work, made_of, needs=needs, resources=settled_resources(part.resources), retries=1)
        return _planned_release(name, build, planner)

    def check_reference(self, file: ApplicationFile, reference: str, *at: str | int) -> None:
        """Raise FileError for a reference such as `manuals@2` whose index is not in the file."""
        indexes = self.of(file.application)
        name = reference.partition("@")[0]
        if name not in indexes:
            raise file.error(f"there is no index '{name}'", suggest_name(name, indexes), *at)

    def registered(self, planner: Planner, reference: str) -> tuple[AnyStep | None, list[Ingredient]]:
        """The step that registers an index (None for a pinned version), and the ingredients of the reference."""
        runtime = ingredients.of_runtime(planner)
        name, _, version = reference.partition("@")
        if version:
            pinned = versions_of(reference)
            return None, [Ingredient(kind="input", name=pinned, digest=text_digest(pinned)), *runtime]
        release = planner.step_of(self, name)
        return release, [ingredients.of_step(release), *runtime]


def _planned_release(name: str, build: Step[BuildIndex], planner: Planner) -> AnyStep:
    """Add the step that registers what was built."""
    work, part = build.work, build.work.part
    documents = planner.steps[work.documents.step]
    named = {each: getattr(part, each) for each in ("text", "id", "title", "access")}
    found = {each: value for each, value in named.items() if value}
    if part.metadata:
        found["metadata"] = ", ".join(part.metadata)
    release = ReleaseIndex(
        model=versions_of(name),
        build=build.name,
        build_key=build.key,
        embedder=work.model,
        embedder_key=work.register_key,
        columns=found,
        lineage=(
            ingredients.of_input(work.documents),
            *(each for each in documents.ingredients if each.kind == "code"),
            *ingredients.sources(documents, Fetch),
            *ingredients.upstream(planner, documents, Fetch),
        ),
    )
    made_of, needs = [ingredients.of_step(build)], [build.name]
    if part.rerank is not None:
        register, model_is = MODELS.registered(planner, part.rerank)
        made_of += model_is
        release = replace(release, reranker=part.rerank, reranker_key=register.key if register else None)
        needs += [register.name] if register else []
    return planner.add(name, release, made_of, needs=needs)


INDEXES = IndexKind()
