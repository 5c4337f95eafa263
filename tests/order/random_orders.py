"""Random orders of the whole language, and random traces for them."""

from __future__ import annotations

import random

from harness.events import Event, ProcessCreate, ProcessExit

SECOND = 10_000_000


class Orders:
    """Random ``expect`` blocks, as data for YAML. Not all are valid: a gap needs neighbours."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.variables = chance.random() < 0.6

    def block(self) -> dict[str, object]:
        block: dict[str, object] = {"order": self.items(3, self.chance.randint(1, 4))}
        if self.chance.random() < 0.15:
            block["only"] = True
        if self.chance.random() < 0.15:
            block["never"] = [self.pattern()]
        if self.chance.random() < 0.2:
            block["scope"] = self.chance.choice([{"pid": 1}, {"pid": [1, 2]}, {"pid": {"not": 3}}])
        return block

    def items(self, depth: int, count: int) -> list[object]:
        items: list[object] = []
        for place in range(count):
            if self.chance.random() < 0.2:
                items.append({"never": self.pattern()})
            if place and self.chance.random() < 0.15:
                items.append({"within": f"{self.chance.randint(1, 3)}s"})
                if self.chance.random() < 0.3:
                    items.append({"within": f"{self.chance.randint(1, 3)}s"})
            item = self.item(depth)
            items.append({"next": item} if place and self.chance.random() < 0.25 else item)
        if self.chance.random() < 0.1:
            items.append({"never": self.pattern()})
        return items

    def item(self, depth: int) -> object:
        if depth == 0 or self.chance.random() < 0.55:
            return self.pattern()
        kind = self.chance.choice(["any_order", "any_order", "one_of", "optional", "repeat", "repeat"])
        if kind in ("any_order", "one_of"):
            return {kind: [self.branch(depth - 1) for _ in range(self.chance.choice([2, 2, 3]))]}
        if kind == "optional":
            return {kind: self.branch(depth - 1)}
        body = self.items(depth - 1, self.chance.randint(1, 3))
        if self.chance.random() < 0.3:
            body.insert(0, self.chance.choice([{"never": self.pattern()}, {"within": "1s"}]))
        elif self.chance.random() < 0.3:
            body[0] = {"next": body[0]}
        minimum = self.chance.choice([0, 1, 1, 2])
        repeat: dict[str, object] = {"of": body, "min": minimum}
        if self.chance.random() < 0.5:
            repeat["max"] = max(minimum, self.chance.randint(1, 3))
        return {"repeat": repeat}

    def branch(self, depth: int) -> object:
        return self.items(depth, 2) if self.chance.random() < 0.4 else self.item(depth)

    def pattern(self) -> object:
        values: list[object] = [1, 2, "any", [1, 3], {"not": 1}]
        if self.variables:
            values += ["$p", "$p", "$p", "$q", "$q", {"not": "$p"}]
        fields: dict[str, object] = {"pid": self.chance.choice(values)}
        if self.variables and self.chance.random() < 0.3:
            fields["context_pid"] = self.chance.choice(["$p", "$p", "$q", {"not": "$p"}])
            return {"process_exit": fields}
        if self.chance.random() < 0.1:
            fields["context_pid"] = self.chance.choice([1, None, [1, 2], {"not": 1}])
            return {"process_exit": fields}
        return {self.chance.choice(["process_create", "process_exit"]): fields}


def events(chance: random.Random) -> list[Event]:
    found: list[Event] = []
    time = 0
    for index in range(chance.randint(2, 7)):
        time += chance.choice([0, 1, 1, 2]) * SECOND
        pid = chance.randint(1, 3)
        if chance.random() < 0.5:
            found.append(ProcessCreate(index=index, pid=pid, parent_pid=0, time=time))
        else:
            context = chance.choice([None, pid, pid, 1])
            found.append(ProcessExit(index=index, pid=pid, context_pid=context, time=time))
    return found
