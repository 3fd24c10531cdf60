CREATE TABLE boat (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    home TEXT NOT NULL,
    length_m REAL NOT NULL,
    berth TEXT NOT NULL
);

INSERT INTO boat (name, kind, home, length_m, berth) VALUES
    ('Aurora', 'Sailing yacht', 'Bergen', 12.4, 'A1'),
    ('Bluebell', 'Fishing boat', 'St Ives', 9.8, 'A2'),
    ('Cormorant', 'Pilot boat', 'Rotterdam', 14.0, 'A3'),
    ('Dora Maria', 'Fishing boat', 'Porto', 11.2, 'A4'),
    ('Anaïs', 'Ketch', 'Brest', 16.5, 'B1'),
    ('Fair Wind', 'Sailing yacht', 'Cork', 10.1, 'B2'),
    ('Gannet', 'Tug', 'Hamburg', 22.7, 'B3'),
    ('Halcyon', 'Motor cruiser', 'Split', 13.3, 'B4'),
    ('Isolde', 'Ketch', 'Lübeck', 17.9, 'C1'),
    ('Juniper', 'Dinghy', 'Falmouth', 4.2, 'C2'),
    ('Kingfisher', 'Fishing boat', 'Bergen', 10.6, 'C3'),
    ('Little Auk', 'Dinghy', 'Tromsø', 3.9, 'C4'),
    ('Mistral', 'Sailing yacht', 'Marseille', 11.8, 'D1'),
    ('Northern Light', 'Ferry', 'Tromsø', 38.5, 'D2');
