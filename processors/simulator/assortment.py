"""The assortment of the simulated shop: departments, brands, kinds of product, and what people look at next.

Written by hand, so that a person who watches a demo can follow the recommendations. Lines are read as
:func:`processors.simulator.departments.department` says.

Examples
--------
>>> [one.name for one in DEPARTMENTS][:3]
['running', 'camping', 'kitchen']
>>> DEPARTMENTS[1].kinds[0]
Kind(name='tent', price=249.0, leads_to=('camping/sleeping bag', 'camping/sleeping mat', 'camping/headlamp'))
"""

from __future__ import annotations

from processors.simulator.departments import Department, department

__all__ = ["DEPARTMENTS"]

DEPARTMENTS: tuple[Department, ...] = (
    department(
        "running",
        "Pacer Stridelle Halden Kivo Northlap Velora",
        """
        trail shoe        | 129 | running sock, hydration vest, camping/headlamp
        road shoe         | 139 | running sock, gps watch, running short
        running sock      |  16 | anti-chafe balm, foam roller
        hydration vest    |  89 | soft flask, energy gel, trail shoe
        soft flask        |  22 | energy gel, hydration vest
        energy gel        |  18 | soft flask, running belt
        running belt      |  29 | energy gel, hydration vest
        gps watch         | 249 | heart-rate strap, running belt
        heart-rate strap  |  69 | gps watch, foam roller
        running short     |  45 | running sock, anti-chafe balm, road shoe
        foam roller       |  28 | anti-chafe balm, office/balance board
        anti-chafe balm   |  12 | running short, skincare/sunscreen
        """,
    ),
    department(
        "camping",
        "Roam Tarnside Fellkit Osterra Highmoor Alpenglow",
        """
        tent              | 249 | sleeping bag, sleeping mat, headlamp
        sleeping bag      | 139 | sleeping mat, camp pillow, headlamp
        sleeping mat      |  89 | camp pillow, headlamp
        camp pillow       |  24 | sleeping bag, camp lantern
        headlamp          |  45 | power bank, camp lantern
        camp lantern      |  39 | power bank, camp chair
        power bank        |  49 | headlamp, photography/memory card
        gas stove         |  59 | gas cartridge, camp cookset
        gas cartridge     |  11 | camp cookset, water filter
        camp cookset      |  54 | coffee/travel press, water filter
        water filter      |  39 | gas stove, camp cookset
        camp chair        |  69 | camp lantern, coffee/travel press
        """,
    ),
    department(
        "kitchen",
        "Pantry Fornello Brasera Kokkum Atelier Maison",
        """
        chef knife        |  79 | cutting board, knife sharpener
        cutting board     |  39 | knife sharpener, salad bowl
        knife sharpener   |  34 | chef knife, salad bowl
        frying pan        |  59 | spatula, wooden spoon, chef knife
        casserole         | 149 | wooden spoon, kitchen scale
        wooden spoon      |   9 | spatula, casserole
        spatula           |  12 | frying pan, wooden spoon
        kitchen scale     |  29 | mixing bowl, coffee/burr grinder
        mixing bowl       |  27 | whisk, baking tray
        whisk             |  11 | baking tray, mixing bowl
        baking tray       |  22 | kitchen scale, whisk
        salad bowl        |  32 | garden/herb kit, wooden spoon
        """,
    ),
    department(
        "coffee",
        "Mokka Torrefa Baristo Kessler Altura Forma",
        """
        burr grinder      | 159 | coffee beans, coffee scale, dripper
        coffee beans      |  15 | paper filter, carafe
        dripper           |  29 | paper filter, gooseneck kettle, carafe
        paper filter      |   8 | coffee beans, carafe
        gooseneck kettle  |  79 | coffee scale, dripper
        coffee scale      |  45 | carafe, gooseneck kettle
        carafe            |  34 | espresso cup, paper filter
        espresso machine  | 449 | milk pitcher, descaler
        milk pitcher      |  24 | espresso cup, descaler
        espresso cup      |  19 | descaler, coffee beans
        descaler          |  12 | coffee beans, espresso machine
        travel press      |  39 | coffee beans, camping/gas stove
        """,
    ),
    department(
        "gaming",
        "Joypad Hexa Overclock Vanta Ninth Apex",
        """
        game console      | 449 | controller, gaming headset, charging dock
        controller        |  65 | charging dock, gaming headset
        charging dock     |  29 | controller, headset stand
        gaming headset    |  99 | headset stand, stream microphone
        headset stand     |  25 | led strip, gaming headset
        gaming mouse      |  69 | mouse pad, gaming keyboard
        mouse pad         |  24 | wrist rest, gaming mouse
        gaming keyboard   | 119 | keycap set, wrist rest
        keycap set        |  39 | wrist rest, led strip
        wrist rest        |  19 | mouse pad, office/desk lamp
        stream microphone | 109 | music/boom arm, led strip
        led strip         |  22 | stream microphone, keycap set
        """,
    ),
    department(
        "skincare",
        "Plain Dermia Botanik Lumiel Sereine Oriel",
        """
        face cleanser     |  14 | toner, day cream
        toner             |  17 | face serum, day cream
        face serum        |  34 | day cream, eye cream
        day cream         |  26 | sunscreen, night cream
        night cream       |  32 | eye cream, lip balm
        eye cream         |  29 | face mask, night cream
        sunscreen         |  19 | lip balm, after-sun lotion
        after-sun lotion  |  15 | body lotion, sunscreen
        body lotion       |  13 | hand cream, lip balm
        hand cream        |   9 | lip balm, body lotion
        lip balm          |   6 | hand cream, sunscreen
        face mask         |  12 | face cleanser, face serum
        """,
    ),
    department(
        "cycling",
        "Spoke Cadenza Pedalo Granfond Ventoux Serpentin",
        """
        road helmet       |  99 | cycling glasses, cycling gloves, cycling jersey
        cycling glasses   |  79 | road helmet, cycling gloves
        cycling gloves    |  32 | cycling jersey, bib short
        cycling jersey    |  75 | bib short, cycling glasses
        bib short         | 110 | cycling jersey, running/energy gel
        bike computer     | 219 | front light, running/heart-rate strap
        front light       |  49 | rear light, bike lock
        rear light        |  35 | bike lock, front light
        bike lock         |  59 | saddle bag, rear light
        saddle bag        |  27 | inner tube, mini pump
        inner tube        |   8 | mini pump, saddle bag
        mini pump         |  34 | inner tube, bike lock
        """,
    ),
    department(
        "photography",
        "Pixa Lumora Optika Argent Norrsken Obscura",
        """
        mirrorless camera | 899 | prime lens, memory card, camera strap
        prime lens        | 399 | lens filter, lens cloth
        zoom lens         | 549 | lens filter, tripod
        lens filter       |  45 | lens cloth, camera bag
        lens cloth        |   9 | camera bag, lens filter
        memory card       |  39 | card case, spare battery
        card case         |  15 | spare battery, camera bag
        spare battery     |  49 | camera bag, memory card
        camera strap      |  35 | camera bag, prime lens
        camera bag        |  99 | tripod, camera strap
        tripod            | 149 | remote release, zoom lens
        remote release    |  29 | lens filter, camping/headlamp
        """,
    ),
    department(
        "office",
        "Folio Bureau Stillwork Tavla Ergona Kontor",
        """
        standing desk     | 449 | desk mat, monitor arm, balance board
        monitor arm       | 119 | monitor light, cable tray
        monitor light     |  69 | desk mat, webcam
        webcam            |  89 | desk lamp, monitor light
        cable tray        |  29 | desk mat, monitor light
        desk mat          |  39 | notebook, desk lamp
        desk lamp         |  65 | notebook, plant pot
        notebook          |  16 | fountain pen, desk mat
        fountain pen      |  45 | notebook, desk lamp
        balance board     |  79 | standing desk, running/foam roller
        plant pot         |  18 | garden/potting soil, desk lamp
        """,
    ),
    department(
        "garden",
        "Sprout Greenhand Tilth Hortus Wildwood Arbor",
        """
        raised bed        | 129 | potting soil, seed set, garden trowel
        potting soil      |  13 | seed set, plant food
        seed set          |  12 | seed tray, plant food
        seed tray         |  15 | watering can, herb kit
        herb kit          |  24 | watering can, plant food
        plant food        |  14 | watering can, garden hose
        watering can      |  29 | garden gloves, plant food
        garden gloves     |  15 | garden trowel, pruning shears
        garden trowel     |  19 | garden gloves, potting soil
        pruning shears    |  35 | garden gloves, skincare/hand cream
        garden hose       |  49 | spray nozzle, watering can
        spray nozzle      |  18 | garden hose, watering can
        """,
    ),
    department(
        "music",
        "Chord Resona Tonwerk Belcanto Legato Opus",
        """
        acoustic guitar   | 249 | guitar strings, clip tuner, capo
        guitar strings    |  12 | plectrum set, clip tuner
        clip tuner        |  18 | capo, plectrum set
        capo              |  16 | plectrum set, guitar stand
        plectrum set      |   7 | capo, gig bag
        guitar stand      |  27 | gig bag, acoustic guitar
        gig bag           |  59 | guitar strings, guitar stand
        audio interface   | 139 | studio headphones, studio microphone, xlr cable
        studio microphone | 129 | boom arm, xlr cable
        boom arm          |  79 | xlr cable, studio headphones
        xlr cable         |  15 | audio interface, boom arm
        studio headphones | 119 | gaming/headset stand, audio interface
        """,
    ),
    department(
        "baby",
        "Tiny Nestling Pomme Kindli Doudou Lullaby",
        """
        stroller          | 399 | rain cover, changing bag
        rain cover        |  29 | foot muff, changing bag
        foot muff         |  59 | baby blanket, rain cover
        changing bag      |  69 | wet wipes, nappies
        nappies           |  19 | wet wipes, baby bottle
        wet wipes         |   9 | nappies, skincare/hand cream
        baby bottle       |  14 | bottle brush, steriliser
        bottle brush      |   7 | steriliser, dummy set
        steriliser        |  59 | dummy set, baby bottle
        dummy set         |   9 | night light, baby blanket
        baby blanket      |  34 | night light, sleep sack
        sleep sack        |  39 | night light, baby blanket
        night light       |  27 | sleep sack, skincare/hand cream
        """,
    ),
)
"""The departments, the most visited first."""
