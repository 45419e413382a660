"""A version of a search index, as the data plane knows versions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.indexes.documents import Document
from plimsoll.runtime.model import check_input, require_inputs, require_outputs
from plimsoll.runtime.server.counts import Records
from plimsoll.runtime.server.refusals import BadInput, NotReady
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.retrieval.request import HITS, LONGEST_QUERY, QUERY, TOP, SearchRequest
from plimsoll.runtime.server.served import Answerer, Served
from plimsoll.runtime.server.service_file import Batching, ModelFile
from plimsoll.runtime.specs import ModelSpec, TensorSpec
from plimsoll.runtime.tensors import Array, BadTensor
from plimsoll.runtime.unaltered import require_unaltered

try:
    from plimsoll.indexes.changing import Changing
    from plimsoll.indexes.reading import MOST_RESULTS, SearchIndex
    from plimsoll.stores.opening import open_index
except ImportError:
    raise MissingExtra("retrieval", "serving an index") from None


class IndexModel:
    """What is known of an index: a `Model` that takes one text."""

    def __init__(self, file: ModelFile) -> None:
        self.path = Path(file.path)
        self.digest = file.digest
        self.inputs = {QUERY: TensorSpec(name=QUERY, datatype="BYTES", shape=(1,))}
        hits = TensorSpec(name=HITS, datatype="BYTES", shape=(-1,))
        self.spec = ModelSpec(name=file.name, inputs=tuple(self.inputs.values()), outputs=(hits,))

    def check(self, name: str, datatype: str, shape: Sequence[int]) -> None:
        """Raise BadTensor unless it is the one text."""
        check_input(self.inputs, name, datatype, shape)


class ServedIndex(Served):
    """A version of an index. Its files are mapped, so that the processes of a server share one copy of them."""

    model: IndexModel
    kind: ClassVar[Answerer] = "index"

    def __init__(
        self,
        file: ModelFile,
        records: Records,
        batching: Batching,
        *,
        pool: ThreadPoolExecutor,
        threads: int,
        changes: Path | None = None,
    ) -> None:
        """Open the index. `changes` is its journal; without one it cannot be changed.

        Raises PlimsollError for files that are not those that were registered.
        """
        require_unaltered(file.files)
        super().__init__(IndexModel(file), file.version, records, batching)
        self.file = file
        self._pool = pool
        # A long journal is read before the first request, and one that cannot be read is told of here.
        self._index: SearchIndex = open_index(self.model.path.parent, threads, changes)

    @property
    def index(self) -> SearchIndex:
        """The index itself, which threads search at the same time."""
        return self._index

    async def run_later(self, request: InferenceRequest, limit: float) -> tuple[dict[str, Array], int]:
        """The passages, as JSON. Raises BadTensor, TimeoutError after `limit` seconds."""
        require_inputs(self.model.inputs, request.inputs)
        if request.outputs:
            require_outputs([HITS], request.outputs)
        self.queued += 1
        try:
            async with asyncio.timeout(limit):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._pool, self._search, _asked(request)), 1
        finally:
            self.queued -= 1

    def put(self, documents: Sequence[Document]) -> int:
        """Put documents in, in place of those with the same ids; returns the number of their chunks. In a thread.

        They are in a file, flushed to disk, when this returns. Raises BadInput, NotReady when they cannot be written.
        """
        changing = self._changing()
        if all(self._index.facts.groups) and (bare := next((each.id for each in documents if not each.access), "")):
            raise BadInput(f"the document '{bare[:80]}' has no `access`: all others of this index have labels")
        try:
            return changing.put(documents)
        except PlimsollError as error:
            raise NotReady(error.on_one_line()) from error

    def delete(self, ids: Sequence[str]) -> None:
        """Delete documents by their ids, also from a store of the vectors; as `put` otherwise."""
        self._changing()
        try:
            self._index.delete(ids)
        except PlimsollError as error:
            raise NotReady(error.on_one_line()) from error

    def _changing(self) -> Changing:
        if self._index.changing is None:
            raise BadInput("this server keeps no changes: start it with --changes FILE, or by `plimsoll up`")
        return self._index.changing

    def _search(self, asked: SearchRequest) -> dict[str, Array]:
        query = str(asked.inputs[QUERY][0])
        if len(query) > LONGEST_QUERY:
            raise BadTensor(f"the query has {len(query)} characters, at most {LONGEST_QUERY} are searched for")
        mode = next((each for each in self._index.modes if each == asked.mode), None)
        if asked.mode is not None and mode is None:
            raise BadTensor(f"this index cannot be searched as '{asked.mode[:20]}': {', '.join(self._index.modes)}")
        try:
            found = self._index.search(query, asked.top, asked.labels, mode)
        except PlimsollError as error:
            raise NotReady(error.on_one_line()) from error
        hits = np.empty(len(found), dtype=np.object_)
        hits[:] = [msgspec.json.encode(hit).decode() for hit in found]
        return {HITS: hits}


def _asked(request: InferenceRequest) -> SearchRequest:
    """The request as a search. One of another front has its settings in `parameters`, and no labels."""
    if isinstance(request, SearchRequest):
        return request
    _require_known(request.parameters)
    top, mode = request.parameters.get("top", TOP), request.parameters.get("search")
    if type(top) is not int or not 1 <= top <= MOST_RESULTS:
        raise BadTensor(f"the parameter `top` is a number from 1 to {MOST_RESULTS}")
    if mode is not None and not isinstance(mode, str):
        raise BadTensor("the parameter `search` is a word, such as lexical")
    return SearchRequest(inputs=request.inputs, id=request.id, outputs=request.outputs, top=top, mode=mode)


def _require_known(parameters: Mapping[str, object]) -> None:
    """Raise BadTensor for labels: who calls a model by its tensors is not known by any."""
    if "access" in parameters:
        raise BadTensor("`access` is for POST /v2/indexes/NAME/search, with the token of the service")
