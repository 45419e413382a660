"""The vectors of one version of an index, in a collection of their own. Its name has the mark that makes it ours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from plimsoll.indexes.layout import StorePlace
from plimsoll.indexes.vectors import CONNECTIVITY, EXPANSION_ADD
from plimsoll.stores.checks import require_dimension, require_numbers
from plimsoll.stores.naming import shown
from plimsoll.stores.port import StoredVector, StoreError
from plimsoll.stores.weaviate.library import message
from plimsoll.stores.weaviate.server import ANEW, WeaviateServer, collection_name

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

VECTOR = "embedding"
"""What the vector of an object is called."""
ROW, GROUP = "chunk", "part"
PUT_AT_ONCE, GOT_AT_ONCE = 256, 1000
MOST_FOUND = 10_000
"""Objects that one answer has when the server is told nothing, and that one deletion takes."""
_AND, _ANY, _NONE = 7, 12, 14
_QUORUM = 2
"""What was written is read by whoever asks next, also where objects are on several nodes."""
_FLOATS = 1
_LAST, _NOBODY = 2**40, -1
"""The row and the group of what ends a build, which is deleted again."""
_OURS = 0x706C_696D_736F_8000_8000 << 48
"""The first half of our ids, which says that they are made by nobody's rules (RFC 9562, version 8); rows follow."""


class WeaviateCollection:
    """Objects whose id and `chunk` are the row, with the group as `part`."""

    def __init__(self, server: WeaviateServer, place: StorePlace, dimension: int) -> None:
        self._server, self._place, self._dimension = server, place, dimension
        self._name = collection_name(place)

    def create(self) -> None:
        """Make the collection. Raises StoreError when there is something of its name."""
        self._server.create(
            {
                "class": self._name,
                "description": self._described(),
                "vectorConfig": {
                    VECTOR: {
                        "vectorizer": {"none": {}},
                        "vectorIndexType": "hnsw",
                        # The dot product of vectors of the length 1 is their cosine; for a cosine the server changes
                        # the vectors. They are kept whole whatever the server does by itself.
                        "vectorIndexConfig": {
                            "distance": "dot",
                            "maxConnections": CONNECTIVITY,
                            "efConstruction": EXPANSION_ADD,
                            "skipDefaultQuantization": True,
                        },
                    }
                },
                "properties": [
                    {"name": each, "dataType": ["int"], "indexFilterable": True, "indexSearchable": False}
                    for each in (ROW, GROUP)
                ],
            }
        )

    def require_ours(self) -> None:
        """Raise StoreError unless the collection is there, was made for this place, and has this dimension."""
        found = self._server.collection(self._name)
        if not found:
            hint = f"correct {self._place.url}, or {ANEW}"
            raise StoreError(
                f"{self._server.shown} has not the vectors of this version", where=self._where(), hint=hint
            )
        if found.get("description") != self._described():
            text = f"the collection is not that of vectors of {self._dimension} numbers which was made for the index"
            raise StoreError(text, where=self._where(), hint=ANEW)

    def put(self, group: int, rows: Sequence[int], vectors: Array) -> None:
        """Put rows in, in place of those that are there."""
        require_dimension(int(vectors.shape[1]), self._dimension, self._place)
        require_numbers(vectors, self._place)
        self._put([self._object(group, row, [_vector(v, VECTOR)]) for row, v in zip(rows, vectors, strict=True)])

    def _put(self, objects: Sequence[Any]) -> None:  # Any: messages are made from their description
        for start in range(0, len(objects), PUT_AT_ONCE):
            some = objects[start : start + PUT_AT_ONCE]
            asked = message("BatchObjectsRequest")(objects=some, consistency_level=_QUORUM)
            if errors := self._server.call("BatchObjects", asked).errors:
                text = f"{self._server.shown} does not take {len(errors)} of {len(some)} vectors: "
                raise StoreError(f"{text}{errors[0].error[:200]}", where=self._where(), hint="see its log")

    def finish(self) -> None:
        """Have the server write down its graph.

        Seen with Weaviate 1.35: the graph of a last batch is in no file after its answer, and a server that is killed
        then counts its objects and finds none of them. The next batch writes it, also one without a vector.
        """
        self._put([self._object(_NOBODY, _LAST, [])])
        self.delete([_LAST])

    def search(self, vector: Array, most: int, groups: Collection[int], hidden: Collection[int]) -> list[StoredVector]:
        """The nearest of these groups without `hidden`."""
        require_dimension(len(vector), self._dimension, self._place)
        condition = _has(GROUP, _ANY, groups)
        if hidden:
            condition = message("Filters")(operator=_AND, filters=[condition, _has(ROW, _NONE, hidden)])
        near = message("NearVector")(
            targets=message("Targets")(target_vectors=[VECTOR]), vectors=[_vector(vector, name="")]
        )
        return self._found(filters=condition, limit=min(most, MOST_FOUND), near_vector=near)

    def get(self, rows: Sequence[int]) -> list[StoredVector]:
        """The vectors of rows."""
        found = []
        for start in range(0, len(rows), GOT_AT_ONCE):
            some = rows[start : start + GOT_AT_ONCE]
            found += self._found(filters=_has(ROW, _ANY, some), limit=len(some))
        return found

    def delete(self, rows: Sequence[int]) -> None:
        """Delete rows."""
        for start in range(0, len(rows), GOT_AT_ONCE):
            condition = _has(ROW, _ANY, rows[start : start + GOT_AT_ONCE])
            asked = message("BatchDeleteRequest")(collection=self._name, filters=condition, consistency_level=_QUORUM)
            if failed := self._server.call("BatchDelete", asked).failed:
                text = f"{self._server.shown} has not deleted {failed} of {len(rows)} vectors"
                raise StoreError(text, where=self._where(), hint="send the deletion again")

    def count(self) -> int:
        """The number of vectors."""
        asked = message("AggregateRequest")(collection=self._name, objects_count=True)
        return int(self._server.call("Aggregate", asked).single_result.objects_count)

    def drop(self) -> None:
        """Delete the collection."""
        self._server.drop(self._place)

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _found(self, **asked: Any) -> list[StoredVector]:  # Any: fields of a message that is made from its description
        reply = self._server.call(
            "Search",
            message("SearchRequest")(
                collection=self._name,
                consistency_level=_QUORUM,
                properties=message("PropertiesRequest")(non_ref_properties=[ROW, GROUP]),
                metadata=message("MetadataRequest")(vectors=[VECTOR]),
                uses_127_api=True,
                **asked,
            ),
        )
        return [self._read(each) for each in reply.results]

    def _read(self, result: Any) -> StoredVector:  # Any: as above
        import numpy as np

        fields, vectors = result.properties.non_ref_props.fields, result.metadata.vectors
        numbers = [fields[each].int_value for each in (ROW, GROUP) if fields[each].WhichOneof("kind") == "int_value"]
        if len(numbers) != 2 or len(vectors) != 1 or len(vectors[0].vector_bytes) % 4:
            text = f"{self._server.shown} has an object in this collection that is not ours"
            raise StoreError(text, where=self._where(), hint=ANEW)
        row, group = numbers
        return StoredVector(row, group, np.frombuffer(vectors[0].vector_bytes, dtype="<f4").astype(np.float32))

    def _object(self, group: int, row: int, vectors: Sequence[Any]) -> Any:  # Any: as above
        made = message("BatchObject")(uuid=str(UUID(int=_OURS | row)), collection=self._name, vectors=vectors)
        made.properties.non_ref_properties.update({ROW: row, GROUP: group})
        return made

    def _described(self) -> str:
        """What says in the server what the collection is."""
        return f"plimsoll {self._place.mark}: vectors of {self._dimension} numbers"

    def _where(self) -> str:
        return shown(self._place)


def _has(name: str, operator: int, values: Iterable[int]) -> Any:  # Any: as above
    """The condition that a property has one of these values, or none of them."""
    return message("Filters")(
        operator=operator,
        target=message("FilterTarget")(property=name),
        value_int_array=message("IntArray")(values=sorted(values)),
    )


def _vector(vector: Array, name: str) -> Any:  # Any: as above
    return message("Vectors")(name=name, vector_bytes=vector.astype("<f4").tobytes(), type=_FLOATS)
