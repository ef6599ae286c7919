"""The training of data2vec-nano, self-supervised from pixels alone; labels are used only to measure it afterwards."""

from functools import partial

from kdcache.teachers.families.data2vec.checkpoint import fairseq_tensors
from kdcache.teachers.nano_training.probe import LOOKED_AT, embedded, probed, untrained
from kdcache.teachers.nano_training.pupils import save_half
from kdcache.teachers.nano_training.schedule import Schedule
from kdcache.teachers.nano_training.self_taught import teach_itself
from kdcache.teachers.nano_training.trainer import Made, Trainer, Work


def _make(work: Work) -> Made:
    network, pictures = teach_itself(work), work.portions.portion(0)
    network.half().float()
    work.progress.note("measuring")
    good, floor = (
        probed(partial(embedded, net, preprocess=work.preprocess), pictures, work.held_out)
        for net in (network, untrained())
    )
    looked = f"{min(LOOKED_AT, len(pictures)):,} pictures of the train split"
    facts = {
        "measured": f"top-1 on shapes:split=val of a linear probe on the mean token, fitted on {looked}",
        "nearest": f"{good.nearest:.4f}",
        "untrained": f"{floor.linear:.4f}",
        "labels": "none in training",
    }
    tensors = fairseq_tensors(network)
    return Made(lambda path, header: save_half(tensors, path, header), good.linear, facts)


TRAINER = Trainer(Schedule(epochs=4, rate=1e-3, batch=16), _make)
