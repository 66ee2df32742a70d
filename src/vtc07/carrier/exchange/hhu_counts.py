"""What has been before in one command of a hand-held unit: attempts, NAKs, blocks.

By these counts an input that is heard becomes the one that the table knows: "a damaged message"
becomes "a damaged message, no NAK left".
"""

from __future__ import annotations

from vtc07.carrier.exchange.events import HHUCommand, Order
from vtc07.carrier.exchange.hhu_hearing import Heard
from vtc07.carrier.exchange.hhu_states import HHU_TABLE, HHUAction, HHUInput, HHUState

_ATTEMPTS = frozenset({HHUAction.REQUEST, HHUAction.LEAVE, HHUAction.REPEAT, HHUAction.SAME_BLOCK})


class Counts:
    """The counts of one command.

    ``attempts``, ``naks``: how many there may be. ``longest``: characters of the longest answer
    that is put together from blocks.
    """

    def __init__(self, attempts: int, naks: int, longest: int) -> None:
        self._attempts = attempts
        self._most_naks = naks
        self._longest = longest
        self._once = False
        self.joined = bytearray()  # blocks of an answer
        self._block = b""  # the latest of them
        self._place = 0  # of the block that comes next
        self._twins: set[int] = set()  # places of blocks that do repeat the one before
        self.attempt = 0
        self._round = 1  # of all blocks of a write from the first
        self.naks = 0
        self.readouts = 0  # that came in place of P0

    def begin(self, command: HHUCommand) -> None:
        """Begin a command."""
        self._once = isinstance(command, Order) and command.once
        self._twins.clear()
        self.attempt, self._round, self.readouts = 0, 1, 0

    def tried(self) -> None:
        """Count an attempt, which begins the answer anew."""
        self.attempt += 1
        self.naks = self._place = 0
        self.joined.clear()

    def next_block_written(self) -> None:
        """Begin to count for the next block of a write."""
        self.attempt = 0

    def all_over(self) -> None:
        """Begin with the first block of a write again."""
        self.attempt = 0
        self._round += 1

    def take_block(self, chars: bytes) -> None:
        """Add a block to the answer."""
        self.joined += chars
        self._block = chars
        self._place += 1
        self.naks = 0

    @property
    def is_last(self) -> bool:
        """True in the last attempt."""
        return self.attempt >= (1 if self._once else self._attempts)

    def refined(self, state: HHUState, heard: Heard, *, slow: bool, before_last: bool) -> HHUInput:
        """Return the input of the table.

        ``slow``: the session stays at 300 Bd; ``before_last``: the block of a write that was said
        is the last but one.
        """
        kind, row = heard.input, HHU_TABLE[state]
        match kind:
            case HHUInput.READOUT if state is HHUState.OPERAND:
                if slow and (self.readouts or self.is_last):
                    kind = HHUInput.READOUT_AGAIN
            case HHUInput.ACK if state is HHUState.WRITING and before_last:
                kind = HHUInput.ACK_BEFORE_LAST
            case HHUInput.BLOCK if state is HHUState.BLOCKS:
                if len(self.joined) + len(heard.chars) > self._longest:
                    kind = HHUInput.DAMAGED_TOO_OFTEN
                elif self._is_twin(heard.chars):
                    kind = HHUInput.TWIN
            case HHUInput.DAMAGED if row[kind].action is HHUAction.SEND_NAK:
                if self.naks >= self._most_naks:
                    kind = HHUInput.DAMAGED_TOO_OFTEN
        action = row[kind].action
        if action is HHUAction.OVER:
            over = self._once or self._round >= self._attempts
        else:
            over = action in _ATTEMPTS and state is not HHUState.LEAVING and self.is_last
        return HHUInput.GIVE_UP if over else kind

    def _is_twin(self, chars: bytes) -> bool:
        """Say whether a block is the one before it, the ACK of which may not have arrived.

        A block may well be like the one before: it is where it is so a second time.
        """
        if chars != self._block:
            return False
        known = self._place in self._twins
        self._twins.add(self._place)
        return not known
