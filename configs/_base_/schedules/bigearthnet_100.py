"""BigEarthNet (paper, section 4): stochastic gradient descent for 100 epochs, at a constant rate.

The paper gives neither rate, momentum nor batch; these are ours.  The loss is a mean over classes, so rates are larger
than those of mmpretrain's losses, which add classes up.
"""

optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.03, momentum=0.9))
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=100, val_interval=1)
