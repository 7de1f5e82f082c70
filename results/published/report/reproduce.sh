#!/bin/sh
# What was typed for the trials of each table, to be typed again from the folder where it was
# typed. Commands that end with exit code 1 have measured trials that failed. Files of plugins
# are stored in each trial's run.json, as Base64 beside their SHA-256.

# student_teacher · gradmax-student-teacher v3 · same target · 1500 steps
# measured with nas-bench 0.1.0, commit 6fbf3785fe
# measured with nas-bench 0.1.0, commit 85acd04b29
nas-bench run --executor inline --protocol gradmax-student-teacher --results /tmp/board/st
nas-bench run --executor inline --protocol gradmax-student-teacher --rerun stale --results /tmp/board/st

# effective_dimension · mlp-free v3 · free growth · 1500 steps
# measured with nas-bench 0.1.0, commit 4e5474fc61
# measured with nas-bench 0.1.0, commit 6fbf3785fe
nas-bench run --protocol mlp-free --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --seeds 0-2 --budget '1500 steps' --no-baselines --set schedule.when=north --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --set 'twins=[]' --executor inline --results /tmp/north_r -q
nas-bench run --protocol mlp-free --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --seeds 0-2 --budget '1500 steps' --no-baselines --set schedule.when=every --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --set 'twins=[]' --executor inline --results /tmp/north_r -q
nas-bench run --executor inline --protocol mlp-free --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --seeds 0-2 --budget '1500 steps' --no-baselines --set 'twins=[]' --set schedule.when=north --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --results /tmp/pubnew --rerun stale
nas-bench run --executor inline --protocol mlp-free --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --seeds 0-2 --budget '1500 steps' --no-baselines --set 'twins=[]' --set schedule.when=every --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --results /tmp/pubnew --rerun stale

# effective_dimension[dimension=4] · mlp-free v3 · free growth · 1500 steps
# measured with nas-bench 0.1.0, commit 4e5474fc61
# measured with nas-bench 0.1.0, commit 6fbf3785fe
nas-bench run --protocol mlp-free --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --seeds 0-2 --budget '1500 steps' --no-baselines --set schedule.when=north --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --set 'twins=[]' --executor inline --results /tmp/north_r -q
nas-bench run --protocol mlp-free --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --seeds 0-2 --budget '1500 steps' --no-baselines --set schedule.when=every --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --set 'twins=[]' --executor inline --results /tmp/north_r -q
nas-bench run --executor inline --protocol mlp-free --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --seeds 0-2 --budget '1500 steps' --no-baselines --set 'twins=[]' --set schedule.when=north --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --results /tmp/pubnew --rerun stale
nas-bench run --executor inline --protocol mlp-free --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --seeds 0-2 --budget '1500 steps' --no-baselines --set 'twins=[]' --set schedule.when=every --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --results /tmp/pubnew --rerun stale

# effective_dimension[dimension=64] · mlp-free v3 · free growth · 1500 steps
# measured with nas-bench 0.1.0, commit 4e5474fc61
# measured with nas-bench 0.1.0, commit 6fbf3785fe
nas-bench run --protocol mlp-free --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --seeds 0-2 --budget '1500 steps' --no-baselines --set schedule.when=north --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --set 'twins=[]' --executor inline --results /tmp/north_r -q
nas-bench run --protocol mlp-free --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --seeds 0-2 --budget '1500 steps' --no-baselines --set schedule.when=every --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --set 'twins=[]' --executor inline --results /tmp/north_r -q
nas-bench run --executor inline --protocol mlp-free --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --seeds 0-2 --budget '1500 steps' --no-baselines --set 'twins=[]' --set schedule.when=north --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --results /tmp/pubnew --rerun stale
nas-bench run --executor inline --protocol mlp-free --methods 'north_preactivation,tiny,random_growth[zero_fan_out=true]' --tasks 'effective_dimension[dimension=4],effective_dimension,effective_dimension[dimension=64]' --seeds 0-2 --budget '1500 steps' --no-baselines --set 'twins=[]' --set schedule.when=every --set schedule.unit=steps --set schedule.every=20 --set schedule.where=each --set schedule.neurons=5 --results /tmp/pubnew --rerun stale

# digits · standard v5 · same target · 800 M FLOPs
# measured with nas-bench 0.1.0, commit 20ffe2def5
# measured with nas-bench 0.1.0, commit 6fbf3785fe
nas-bench run --executor inline --protocol standard --seeds 0 --tasks digits,spirals,effective_dimension,fashion_mnist --results /tmp/pilot3
nas-bench run --executor inline --protocol standard --tasks digits --results /tmp/pilot3
nas-bench run --protocol standard --tasks digits,spirals --methods 'firefly[candidates=20,steps=5]' --executor inline --results /tmp/board/R -q

# effective_dimension · standard v5 · same target · 3 G FLOPs
# measured with nas-bench 0.1.0, commit a58e10b8a4
nas-bench run --protocol standard --tasks effective_dimension --seeds 0-9 --executor inline --results /tmp/board/B

# fashion_mnist · standard v5 · same target · 60 G FLOPs
# measured with nas-bench 0.1.0, commit 20ffe2def5
# measured with nas-bench 0.1.0, commit 6fbf3785fe
nas-bench run --executor inline --protocol standard --seeds 0 --tasks digits,spirals,effective_dimension,fashion_mnist --results /tmp/pilot3
nas-bench run --executor inline --protocol standard --tasks fashion_mnist --results /tmp/pilot3
nas-bench run --protocol standard --tasks fashion_mnist --methods 'firefly[candidates=20,steps=5]' --seeds 0-4 --executor inline --results /tmp/board/R -q
nas-bench run --protocol standard --tasks fashion_mnist --methods 'firefly[candidates=20,steps=5]' --executor inline --results /tmp/board/R -q

# spirals · standard v5 · same target · 1 G FLOPs
# measured with nas-bench 0.1.0, commit 20ffe2def5
# measured with nas-bench 0.1.0, commit 6fbf3785fe
nas-bench run --executor inline --protocol standard --seeds 0 --tasks digits,spirals,effective_dimension,fashion_mnist --results /tmp/pilot3
nas-bench run --executor inline --protocol standard --tasks spirals --seeds 0-9 --results /tmp/pilot3
nas-bench run --protocol standard --tasks digits,spirals --methods 'firefly[candidates=20,steps=5]' --executor inline --results /tmp/board/R -q

# mnist · tiny-fig11 v3 · same target · 400 G FLOPs
# measured with nas-bench 0.1.0, commit d1cb1f4cb2
nas-bench run --protocol tiny-fig11 --seeds 0-2 --results /tmp/ledfigA --executor inline -q

# mnist · tiny-fig11-summed v2 · same target · 400 G FLOPs
# measured with nas-bench 0.1.0, commit d1cb1f4cb2
nas-bench run --protocol tiny-fig11-summed --seeds 0-2 --results /tmp/ledfigB --executor inline -q

# mnist · tiny-fig12 v3 · same target · 400 G FLOPs
# measured with nas-bench 0.1.0, commit d1cb1f4cb2
nas-bench run --protocol tiny-fig12 --seeds 0-2 --results /tmp/ledfigA --executor inline -q

# mnist · tiny-fig12-summed v2 · same target · 400 G FLOPs
# measured with nas-bench 0.1.0, commit d1cb1f4cb2
nas-bench run --protocol tiny-fig12-summed --seeds 0-2 --results /tmp/ledfigB --executor inline -q

# mnist · tiny-fig13 v3 · same target · 400 G FLOPs
# measured with nas-bench 0.1.0, commit d1cb1f4cb2
nas-bench run --protocol tiny-fig13 --seeds 0-2 --results /tmp/ledfigA --executor inline -q

# mnist · tiny-fig13-summed v2 · same target · 400 G FLOPs
# measured with nas-bench 0.1.0, commit d1cb1f4cb2
nas-bench run --protocol tiny-fig13-summed --seeds 0-2 --results /tmp/ledfigB --executor inline -q
